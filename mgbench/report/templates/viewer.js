"use strict";
// The theme, and pictures that enlarge.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const apply = () => button.setAttribute("aria-pressed", String(isDark()));

  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("mgbench-theme", root.dataset.theme); } catch { /* kept for this visit only */ }
    apply();
  });
  system.addEventListener("change", apply);
  apply();

  const views = [...document.querySelectorAll("[role=tab][data-view]")];
  if (views.length) tabbed(views, "figure");

  const viewer = document.getElementById("viewer");
  if (!viewer) return;
  const shown = viewer.querySelector("img");
  const openers = [...document.querySelectorAll("button.enlarge")];
  let place = 0;

  // A drawing as a file of its own, in the colours in which it is seen: the names that the page knows are read there.
  function standalone(drawing) {
    const style = getComputedStyle(root);
    const shade = (_, name) => style.getPropertyValue(name).match(/#\w+/g)[Number(isDark())];
    const text = new XMLSerializer().serializeToString(drawing).replace(/var\((--[\w-]+)\)/g, shade);
    return `data:image/svg+xml,${encodeURIComponent(text)}`;
  }

  function show(next) {
    place = (next + openers.length) % openers.length;
    const drawing = openers[place].querySelector("svg");
    const [width, height] = ["width", "height"].map((side) => Number(drawing.getAttribute(side)));
    shown.src = standalone(drawing);
    shown.alt = drawing.getAttribute("aria-label");
    shown.style.setProperty("--ratio", width / height || 1);
    shown.style.setProperty("--natural", `${width}px`);
    viewer.querySelector("h2").textContent = openers[place].dataset.title;
    const save = viewer.querySelector("a");
    save.href = shown.src;
    save.download = `${openers[place].dataset.file}.svg`;
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
