// Watershed's tracker for browsers: page views and custom events, kept until the collector has answered for each.
// How to use it, and every option: docs/tracker.md. What is served is tracker.min.js, made of this file and a table of
// time zones by `make generate` (collector/tracker_build.py): at most 3 KiB packed, which a test holds.
(() => {
const script = document.currentScript, options = script?.dataset;
// No key, or a second tracker on one page.
if (!options?.key || window.watershed?.track) return;

const base = options.url || new URL(script.src).origin;
// A script with `crossorigin` only runs where the collector lets this origin read, so its answers can be read too. Of
// events that go where they cannot the address says so, with a fragment, whichever page sends them.
const url = base + "/events?key=" + options.key +
  (script.crossOrigin === null && base !== location.origin ? "#no-cors" : "#cors");
const QUEUE = "watershed.q.", CONSENT = "watershed.consent", VISITOR = "watershed.visitor", WAIT = "watershed.wait";
const SESSION = "watershed.session";
const MOST = 200, OLDEST_MS = 48 * 36e5, CLAIM_MS = 15e3, FREE = 1e12;
// Requests that outlive their page share 64 KiB: room for one of a timer and one of the page's end.
const BATCH_BYTES = 3e4;

// Storage is used as an object, so that an object can stand in for one that is blocked.
const opened = name => {
  try { return window[name] || {}; } catch (blocked) { return {}; }
};
const local = opened("localStorage"), tab = opened("sessionStorage");
// What a full storage does not take is the page's alone; what is there can be read, made shorter and deleted all the same.
const memory = {};
const read = (name, box = local) => memory[name] || box[name];
const drop = (name, box = local) => delete memory[name] && delete box[name];
const write = (name, value, box = local) => {
  try {
    box[name] = value;
    delete memory[name];
  } catch (full) {
    delete box[name];
    memory[name] = value;
  }
  return value;
};

// Each entry has a key of its own, so that tabs do not write over each other's: when it happened, and the event's id.
// Its value: until when a tab has taken it, where it goes, the event. Long ago has as many digits as now, so that an entry
// grows no longer, which a full storage would refuse.
const keys = () => [...Object.keys(local), ...Object.keys(memory)].filter(name => name.startsWith(QUEUE)).sort();
const put = (key, ...parts) => write(key, JSON.stringify(parts));
const entry = key => {
  try { return [...JSON.parse(read(key))]; } catch (damaged) { return []; }
};
const bytes = event => new TextEncoder().encode(JSON.stringify(event)).length;

// A random UUID, also where there is no crypto.randomUUID (a page without https).
const uuid = () => "10000000-1000-4000-8000-100000000000".replace(/[018]/g, digit =>
  (digit ^ crypto.getRandomValues(new Uint8Array(1))[0] & 15 >> digit / 4).toString(16));
const kept = (name, box) => read(name, box) || write(name, uuid(), box);

// The time zone's country; for a zone that the table does not know, the locale's. UTC is no place: a machine's, or of
// somebody who hides.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", city = zone.replace(/.*?\//, "");
const row = "ZONES".split(";").find(row => row.startsWith(zone.slice(0, 2))) || "";
const found = row.slice(2).split(" ").find(some => RegExp("^(" + some.slice(2) + ")").test(city));
const country = found || !/UTC|GMT/.test(zone) && /-([A-Z]{2}\b)/.exec(navigator.language)?.[1] || "ZZ";
const region = options.region || country.slice(0, 2);

// What the visitor said counts before what the page says of them.
const agreed = () => (read(CONSENT) || options.consent) === "given";
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
  // Before the visitor has said anything it may wait for a yes; after a no it may not.
  if (silent()) return held.splice(0, held.length - (read(CONSENT) ? 0 : MOST));
  for (const event of held.splice(0)) {
    if (event.event_type === "page_view" && named()) {
      event.data = { visitor_id: kept(VISITOR), session_id: kept(SESSION, tab), ...event.data };
    }
    put(QUEUE + Date.parse(event.occurred_at) + "." + event.event_id, FREE, url, event);
  }
  for (const key of keys().slice(0, -MOST)) drop(key);
  schedule(300);
};
const consent = yes => {
  if (yes) write(CONSENT, "given");
  else {
    drop(VISITOR);
    drop(SESSION, tab);
    // Shorter than a yes, so that it takes its place in a full storage.
    write(CONSENT, "no");
    for (const key of keys()) {
      const [until, to, event] = entry(key);
      if (silent() || !event) drop(key);
      else {
        event.data = { ...event.data, visitor_id: undefined, session_id: undefined };
        put(key, until, to, event);
      }
    }
  }
  release();
};

let due, busy, tries = 0;
// Longer than any pause is only what a clock that was ahead has left.
const pause = () => {
  const left = read(WAIT) - Date.now();
  return left < 6e5 && left > 0 && left;
};
// What happens again and again puts nothing off: only what is due earlier gets a timer, and one too many does no harm.
const schedule = wait => {
  wait = Math.max(wait, pause());
  if (due <= Date.now() + wait) return;
  due = Date.now() + wait;
  setTimeout(flush, wait);
};
// The next batch, all for one address, taken for as long as a request may last.
const take = () => {
  const now = Date.now(), batch = [];
  let size = 0;
  if (!pause() && !silent()) for (const key of keys()) {
    const [until, to, event] = entry(key);
    if (!event || now - key.split(".")[2] > OLDEST_MS) drop(key);
    else if ((until <= now || until > now + CLAIM_MS) && (batch.to || to) === to) {
      size += bytes(event) + 1;
      if (size > BATCH_BYTES || batch.length > 49) break;
      put(key, now + CLAIM_MS, batch.to = to, event);
      batch.push({ key, event });
    }
  }
  return batch;
};
// Sends one; whether there was any.
const post = async () => {
  const batch = take(), to = batch.to;
  if (!to) return;
  // Seconds to wait at least; a refusal that would be the same again; a verdict for each event.
  let after = 0, final, results = [];
  try {
    const answer = await fetch(to, {
      method: "POST",
      body: JSON.stringify(batch.map(one => one.event)),
      keepalive: true,
      credentials: "omit",
      mode: to.split("#")[1],
      signal: AbortSignal.timeout?.(12e3)
    });
    const said = answer.headers.get("Retry-After");
    after = +said || (Date.parse(said) - Date.now()) / 1e3 || 0;
    // 0: an answer that cannot be read.
    final = [0, 400, 401, 403, 413, 415, 422].includes(answer.status);
    if (answer.ok) results = (await answer.json()).results || [];
  } catch (away) {
    // What has neither is tried again.
  }
  // Meanwhile a refusal may have taken ids, or all of it, away.
  if (batch.filter(({ key }, index) => {
    const event = entry(key)[2];
    return final || results[index] || !event ? !drop(key) : put(key, FREE, to, event);
  })[0]) write(WAIT, Date.now() + Math.min(300, Math.max(after, 2 ** tries++)) * (1e3 + 500 * Math.random()));
  else {
    tries = 0;
    drop(WAIT);
  }
  return 1;
};
const send = async () => {
  busy = 1;
  try {
    while (await post());
  } finally {
    busy = 0;
  }
  if (keys()[0]) schedule(CLAIM_MS);
};
// One tab sends at a time; where there are no locks (a page without https) or they are blocked, as storage is, taking
// entries has to do.
const flush = () => {
  due = undefined;
  if (busy) return;
  const locks = navigator.locks;
  if (locks) locks.request("watershed", { ifAvailable: true }, lock => lock ? send() : schedule(1e3)).catch(send);
  else send();
};

let page, from = document.referrer;
const cut = (text, most) => text.split(/[?#]/)[0].slice(0, most);
const agent = navigator.userAgent;
const view = data => track("page_view", {
  region,
  page_name: cut(location.pathname, 512),
  device: /iPad|Tablet|Android(?!.*Mobile)/.test(agent) ? "tablet" : /Mobi/.test(agent) ? "mobile" : "desktop",
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
    history[name] = (...words) => {
      original.apply(history, words);
      moved();
    };
  }
  addEventListener("popstate", moved);
  // Out of the back/forward cache.
  addEventListener("pageshow", event => event.persisted && moved(page = 0));
}
early.forEach(push);
addEventListener("online", () => {
  drop(WAIT);
  schedule(0);
});
addEventListener("visibilitychange", () => document.hidden && post());
schedule(300);
})();
