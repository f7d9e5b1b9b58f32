"use strict";
// The theme that was chosen before; without one the page follows the system.
try {
  const chosen = localStorage.getItem("mgbench-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* a browser may keep nothing for files */ }
