// Keeps the page current: what is marked `data-live` is taken anew from the server when something has changed.
// Without this file the page works as well; it then reloads itself.

const news = document.querySelector("#news");

let turn = Promise.resolve();

function refresh() { // one after the other, so that an old answer never comes last
  turn = turn.then(renew).catch(() => {}); // without an answer the page stays as it is
  return turn;
}

async function renew() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [now, then] = [page, document].map((of) => of.querySelector("[data-live]"));
  const focused = document.activeElement?.id;
  then.replaceWith(now);
  if (focused) (document.getElementById(focused) ?? now.querySelector("h1"))?.focus();
  announce(now);
  tick();
}

function announce(live) {
  const steps = live.querySelectorAll(".timeline li");
  const text = steps.length ? steps[steps.length - 1].innerText : "";
  if (news.textContent !== text) news.textContent = text; // screen readers say it
}

// Server time and browser time may differ, so the server says how many seconds are left.
const noticed = new WeakMap();

function tick() {
  for (const clock of document.querySelectorAll("[data-seconds-left]")) {
    if (!noticed.has(clock)) noticed.set(clock, performance.now() + clock.dataset.secondsLeft * 1000);
    const left = Math.max((noticed.get(clock) - performance.now()) / 1000, 0);
    clock.style.setProperty("--part-left", left / clock.dataset.seconds);
    const seconds = Math.ceil(left);
    clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}

function watch(events) {
  const source = new EventSource(events); // it connects again by itself, also to a server that was started anew
  const offline = (is) => document.body.classList.toggle("offline", is);
  source.onopen = () => {
    offline(false);
    refresh();
  };
  source.onerror = () => {
    offline(true);
    if (source.readyState === EventSource.CLOSED) setTimeout(watch, 2000, events);
  };
  for (const kind of ["status", "customStatus", "end"]) source.addEventListener(kind, refresh);
  source.addEventListener("end", () => source.close());
}

const live = document.querySelector("[data-live]");
if (live.dataset.live) watch(live.dataset.live);
if (live.dataset.every) setInterval(refresh, live.dataset.every);
setInterval(tick, 250);
tick();
