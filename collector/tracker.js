// Watershed's page-view tracker: one page view on load, sent by sendBeacon.
//
//   <script async src="https://collector.example/tracker.js" data-key="ws_browser_…" data-region="DE"></script>
//
// data-key      the browser write key (public: it may only send types marked for browsers)
// data-region   ISO 3166-1 alpha-2 country of the page; left out: ZZ, unknown. It is not guessed from the language.
// data-page     the page's name; left out: the path, without its query
// data-url      the collector's address; left out: where this script came from
// data-visitor  "off": no visitor and session ids are kept or sent
//
// Ids are random, kept in localStorage (visitor) and sessionStorage (session). Global Privacy Control and Do Not Track
// switch both off: such a view counts, for no visitor.
(function () {
  "use strict";
  var script = document.currentScript;
  if (!script || !script.dataset.key) return;
  var options = script.dataset;
  var url = (options.url || new URL(script.src).origin) + "/events?key=" + encodeURIComponent(options.key);
  var anonymous = options.visitor === "off" || navigator.globalPrivacyControl === true || navigator.doNotTrack === "1";

  function uuid() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    var hex = Array.from(bytes, function (b) { return (b + 256).toString(16).slice(1); }).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  function kept(storage, name) {
    try {
      var id = window[storage].getItem(name);
      if (!id) window[storage].setItem(name, (id = uuid()));
      return id;
    } catch (refused) {
      return undefined; // storage is blocked: the view counts without an id
    }
  }

  function device() {
    if (navigator.userAgentData) return navigator.userAgentData.mobile ? "mobile" : "desktop";
    var agent = navigator.userAgent;
    if (/iPad|Tablet|Android(?!.*Mobile)/.test(agent)) return "tablet";
    return /Mobi|iPhone|Android/.test(agent) ? "mobile" : "desktop";
  }

  function referrer() {
    // Where from, without query and fragment: they may hold what is nobody else's business.
    return document.referrer ? document.referrer.split(/[?#]/)[0].slice(0, 2048) : undefined;
  }

  function send() {
    var event = {
      event_type: "page_view",
      event_id: uuid(),
      occurred_at: new Date().toISOString(),
      data: {
        region: options.region || "ZZ",
        page_name: (options.page || location.pathname).slice(0, 512),
        visitor_id: anonymous ? undefined : kept("localStorage", "watershed.visitor"),
        session_id: anonymous ? undefined : kept("sessionStorage", "watershed.session"),
        referrer: referrer(),
        device: device()
      }
    };
    var body = JSON.stringify(event);
    // A string goes as text/plain, which needs no preflight. Without sendBeacon, or when its queue is full: fetch.
    if (navigator.sendBeacon && navigator.sendBeacon(url, body)) return;
    fetch(url, { method: "POST", body: body, keepalive: true, mode: "no-cors", credentials: "omit" }).catch(function () {});
  }

  if (document.prerendering) document.addEventListener("prerenderingchange", send, { once: true });
  else send();
})();
