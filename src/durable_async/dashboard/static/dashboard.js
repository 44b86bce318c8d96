// Keeps what is marked with data-live up to date: not while nobody looks, and not while somebody is at work in it.
"use strict";
(() => {
  const live = () => document.querySelector("[data-live]");
  const news = document.getElementById("news");
  const button = document.getElementById("live-switch");
  const say = (text) => { if (news) news.textContent = text; };
  let isOn = true;
  let looked = Date.now();

  // To replace what has the focus, is selected or was opened would throw its reader out.
  const isInUse = (region) => {
    const selection = document.getSelection();
    return region.contains(document.activeElement)
      || (selection && !selection.isCollapsed && region.contains(selection.anchorNode))
      || region.querySelector("details[open]") !== null;
  };

  const show = () => {
    if (!button) return;
    button.hidden = live() === null;
    button.setAttribute("aria-pressed", String(isOn));
    button.textContent = isOn ? "Live" : "Paused";
  };

  const look = () => {
    const region = live();
    if (!region || !isOn || document.hidden || isInUse(region)) return;
    if (Date.now() - looked < Number(region.dataset.live) * 1000) return;
    looked = Date.now();
    htmx.trigger(region, "tick");
  };

  if (button) {
    button.addEventListener("click", () => { isOn = !isOn; show(); });
  }
  document.addEventListener("visibilitychange", look);
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const text = event.detail.xhr.responseText;
    if (!text.includes('id="live"')) {
      event.detail.shouldSwap = false; // signed out, perhaps
      say("This page is not kept up to date any more: load it again.");
    } else {
      look.before = event.detail.target.dataset.summary || "";
    }
  });
  document.body.addEventListener("htmx:afterSettle", () => {
    const region = document.getElementById("live");
    const summary = region ? region.dataset.summary || "" : "";
    if (summary && look.before !== undefined && summary !== look.before) say(summary);
    show();
  });
  show();
  setInterval(look, 500);
})();
