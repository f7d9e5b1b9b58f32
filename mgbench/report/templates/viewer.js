"use strict";
// The theme, and pictures that enlarge.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function apply() {
    const dark = isDark();
    button.setAttribute("aria-pressed", String(dark));
    // A picture follows its media query, which knows the system only.
    for (const source of document.querySelectorAll("picture > source")) source.media = dark ? "all" : "not all";
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("mgbench-theme", root.dataset.theme); } catch { /* kept for this visit only */ }
    apply();
  });
  system.addEventListener("change", apply);
  apply();

  const viewer = document.getElementById("viewer");
  if (!viewer) return;
  const shown = viewer.querySelector("img");
  const openers = [...document.querySelectorAll("button.enlarge")];
  let place = 0;

  function show(next) {
    place = (next + openers.length) % openers.length;
    const image = openers[place].querySelector("img");
    shown.src = image.currentSrc;
    shown.alt = image.alt;
    shown.style.setProperty("--ratio", image.width / image.height || 1);
    shown.style.setProperty("--natural", `${image.getAttribute("width")}px`);
    viewer.querySelector("h2").textContent = openers[place].dataset.title;
    const [kind] = image.currentSrc.slice("data:image/".length).split(/[+;]/);
    const save = viewer.querySelector("a");
    save.href = image.currentSrc;
    save.download = `${openers[place].dataset.file}.${kind}`;
    save.textContent = `Save ${kind.toUpperCase()}`;
  }

  for (const [index, opener] of openers.entries()) {
    opener.addEventListener("click", () => { show(index); viewer.showModal(); });
  }
  viewer.querySelector(".previous").addEventListener("click", () => show(place - 1));
  viewer.querySelector(".next").addEventListener("click", () => show(place + 1));
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(place - 1);
    else if (event.key === "ArrowRight") show(place + 1);
  });
  // A click beside the picture closes; <dialog> itself sees to Escape and to where the focus returns.
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.querySelector(".close").addEventListener("click", () => viewer.close());
})();
