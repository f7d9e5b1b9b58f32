"use strict";
// The state of the view, kept in the address after "#", and tabs that show one thing at a time.
const address = (() => {
  // An address such as #numbers leads to a section; one with "=" in it is a state.
  const read = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

  function write(name, value) {
    const state = read();
    if (value) state.set(name, value);
    else state.delete(name);
    try { history.replaceState(null, "", `#${state}`); } catch { /* a page inside another may have no address */ }
  }

  return { get: (name) => read().get(name) ?? "", write };
})();

// Each tab names its panel in aria-controls and its word in the address in data-state.
function tabbed(tabs, name, show = () => {}) {
  function choose(chosen) {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    show(chosen);
  }

  function pick(tab) {
    choose(tab);
    address.write(name, tab === tabs[0] ? "" : tab.dataset.state);
  }

  for (const [place, tab] of tabs.entries()) {
    tab.addEventListener("click", () => pick(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      next.focus();
      pick(next);
    });
  }
  const restore = () => choose(tabs.find((tab) => tab.dataset.state === address.get(name)) ?? tabs[0]);
  addEventListener("hashchange", () => { if (location.hash.includes("=")) restore(); });
  restore();
}
