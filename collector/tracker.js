// Watershed's tracker for browsers: page views and custom events, kept until the collector has answered for each.
// How to use it, and every option: docs/tracker.md. What is served is tracker.min.js, made of this file and a table of
// time zones by `make generate` (collector/tracker_build.py): at most 3 KiB packed, which a test holds.
(() => {
const script = document.currentScript, options = script && script.dataset;
// No key, or a second tracker on one page.
if (!options || !options.key || (window.watershed || {}).track) return;

const base = options.url || new URL(script.src).origin;
const url = base + "/events?key=" + options.key;
// A script with `crossorigin` only runs where the collector lets this origin read, so its answers can be read too.
const readable = script.crossOrigin !== null || base === location.origin;
const PREFIX = "watershed.", QUEUE = PREFIX + "q.";
const MOST = 200, OLDEST_MS = 48 * 36e5, CLAIM_MS = 15e3;
// Requests that outlive their page share 64 KiB: room for one of a timer and one of the page's end.
const BATCH_BYTES = 3e4;

// Storage is used as an object, so that an object can stand in for one that is blocked or full.
const opened = name => {
  try {
    const storage = window[name];
    storage[PREFIX + "t"] = 1;
    delete storage[PREFIX + "t"];
    return storage;
  } catch (blocked) {
    return {};
  }
};
const tab = opened("sessionStorage");
let box = opened("localStorage");

// Each entry has a key of its own, so that tabs do not write over each other's: when it happened, and the event's id.
// Its value: until when a tab has taken it, where it goes, the event.
const keys = () => Object.keys(box).filter(name => name.startsWith(QUEUE)).sort();
const put = (key, until, to, event) => { box[key] = JSON.stringify([until, to, event]); };
const entry = key => {
  try { return JSON.parse(box[key]); } catch (damaged) { return []; }
};
const bytes = event => new TextEncoder().encode(JSON.stringify(event)).length;

// A random UUID, also where there is no crypto.randomUUID (a page without https).
const uuid = () => "10000000-1000-4000-8000-100000000000".replace(/[018]/g, digit =>
  (digit ^ crypto.getRandomValues(new Uint8Array(1))[0] & 15 >> digit / 4).toString(16));
const kept = (storage, name) => storage[PREFIX + name] = storage[PREFIX + name] || uuid();

// The time zone's country; for a zone that the table does not know, the locale's. UTC is no place: a machine's, or of
// somebody who hides.
const country = () => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", city = zone.replace(/.*?\//, "");
  const row = "ZONES".split(";").find(row => zone !== city && row.slice(0, 2) === zone.slice(0, 2)) || "";
  const found = row.slice(2).split(" ").find(some => some && RegExp("^(" + some.slice(2) + ")").test(city));
  return (found || !/UTC|GMT/.test(zone) && (/-([A-Z]{2}\b)/.exec(navigator.language) || 0)[1] || "ZZ").slice(0, 2);
};
const region = options.region || country();

// What the visitor said counts before what the page says of them.
const agreed = () => (box[PREFIX + "consent"] || options.consent) === "given";
const silent = () => options.consent === "required" && !agreed();
const named = () => agreed() && !navigator.globalPrivacyControl && navigator.doNotTrack !== "1";

const held = [];
const track = (type, data) => {
  const event = { event_type: type, event_id: uuid(), occurred_at: new Date().toISOString(), data };
  if (bytes(event) > BATCH_BYTES) throw RangeError("too large");
  held.push(event);
  release();
  return event.event_id;
};
const release = () => {
  if (silent()) return held.splice(0, held.length - MOST);
  for (const event of held.splice(0)) {
    if (event.event_type === "page_view" && named()) {
      event.data = { visitor_id: kept(box, "visitor"), session_id: kept(tab, "session"), ...event.data };
    }
    const key = QUEUE + Date.parse(event.occurred_at) + "." + event.event_id;
    try {
      put(key, 0, url, event);
    } catch (full) {
      box = {};
      put(key, 0, url, event);
    }
  }
  for (const key of keys().slice(0, -MOST)) delete box[key];
  schedule(300);
};
const consent = yes => {
  box[PREFIX + "consent"] = yes ? "given" : "refused";
  if (yes) return release();
  delete box[PREFIX + "visitor"];
  delete tab[PREFIX + "session"];
  for (const key of keys()) {
    const [until, to, event] = entry(key);
    if (silent() || !event) delete box[key];
    else {
      delete event.data.visitor_id;
      delete event.data.session_id;
      put(key, until, to, event);
    }
  }
};

let timer, busy, tries = 0;
const pause = () => Math.min(box[PREFIX + "wait"] - Date.now(), 6e5) || 0;
const schedule = wait => {
  clearTimeout(timer);
  timer = setTimeout(flush, Math.max(wait, pause()));
};
// The next batch, all for one address, taken for as long as a request may last.
const take = () => {
  const now = Date.now(), batch = [];
  let size = 0, target;
  if (pause() <= 0 && !silent()) for (const key of keys()) {
    const [until, to, event] = entry(key);
    if (!event || now - key.split(".")[2] > OLDEST_MS) delete box[key];
    else if ((until <= now || until > now + CLAIM_MS) && (target || to) === to) {
      size += bytes(event) + 1;
      if (size > BATCH_BYTES || batch.length > 49) break;
      target = to;
      put(key, now + CLAIM_MS, to, event);
      batch.push({ key, to, event });
    }
  }
  return batch;
};
const post = async batch => {
  const to = batch[0].to;
  // Seconds to wait at least; a refusal that would be the same again; a verdict for each event.
  let after = 0, final, results = [], left;
  try {
    const answer = await fetch(to, {
      method: "POST",
      body: JSON.stringify(batch.map(one => one.event)),
      keepalive: true,
      credentials: "omit",
      mode: readable ? "cors" : "no-cors",
      signal: AbortSignal.timeout && AbortSignal.timeout(12e3)
    });
    after = +answer.headers.get("Retry-After");
    final = !readable || [400, 401, 403, 413, 415, 422].includes(answer.status);
    if (answer.ok) results = (await answer.json()).results || [];
  } catch (away) {
    // What has neither is tried again.
  }
  batch.forEach(({ key }, index) => {
    const event = entry(key)[2];
    if (final || results[index] || !event) delete box[key];
    else {
      left = 1;
      put(key, 0, to, event);
    }
  });
  if (left) box[PREFIX + "wait"] = Date.now() + Math.max(after, Math.min(300, 2 ** tries++)) * (1e3 + 500 * Math.random());
  else {
    tries = 0;
    delete box[PREFIX + "wait"];
  }
};
const send = async () => {
  busy = 1;
  for (let batch; (batch = take())[0];) await post(batch);
  busy = 0;
  if (keys()[0]) schedule(CLAIM_MS);
};
// One tab sends at a time; where there are no locks (a page without https), taking entries has to do.
const flush = () => {
  if (busy) return;
  if (navigator.locks) navigator.locks.request(PREFIX, { ifAvailable: true }, lock => lock ? send() : schedule(1e3));
  else send();
};
const leave = () => {
  const batch = take();
  if (batch[0]) post(batch);
};

let page, from = document.referrer;
const cut = (text, most) => text.split(/[?#]/)[0].slice(0, most);
const is = device => device.test(navigator.userAgent);
const view = data => track("page_view", {
  region,
  page_name: cut(location.pathname, 512),
  device: is(/iPad|Tablet|Android(?!.*Mobile)/) ? "tablet" : is(/Mobi/) ? "mobile" : "desktop",
  referrer: cut(from, 2048) || undefined,
  ...data
});
const moved = () => {
  if (location.pathname === page) return;
  view(!page && options.page && { page_name: options.page });
  page = location.pathname;
  from = location.href;
};

const early = window.watershed || [];
const push = ([name, ...rest]) => window.watershed[name](...rest);
window.watershed = { region, consent, push, track: (type, data) => type === "page_view" ? view(data) : track(type, data) };

if (options.views !== "off") {
  if (document.prerendering) document.addEventListener("prerenderingchange", moved, { once: true });
  else moved();
  for (const name of ["pushState", "replaceState"]) {
    const original = history[name];
    history[name] = function () {
      original.apply(history, arguments);
      moved();
    };
  }
  addEventListener("popstate", moved);
  // Out of the back/forward cache.
  addEventListener("pageshow", event => {
    if (event.persisted) {
      page = 0;
      moved();
    }
  });
}
early.forEach(push);
addEventListener("online", () => {
  delete box[PREFIX + "wait"];
  schedule(1e3 * Math.random());
});
addEventListener("visibilitychange", () => document.hidden && leave());
schedule(300);
})();
