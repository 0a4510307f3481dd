"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const logarithmic = new Set();
  const PRINT_WIDTH = 680;
  let printing = false;

  // Colours of the dark page, under keys that hold colours only: texts of users stay what they are.
  const recoloured = (value, key) => {
    if (typeof value === "string") {
      return /color$/i.test(key) && Object.hasOwn(charts.dark, value) ? charts.dark[value] : value;
    }
    if (Array.isArray(value)) {
      return value.map((one) => recoloured(one, key));
    }
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, recoloured(one, name)]));
    }
    return value;
  };

  const draw = (key) => {
    const node = document.getElementById("plot-" + key);
    const plain = charts.figures[key];
    const { data, layout } = darkness.matches && !printing ? recoloured(plain, "") : structuredClone(plain);
    layout.autosize = !printing;
    if (printing) {
      layout.width = PRINT_WIDTH;
    }
    if (logarithmic.has(key)) {
      layout.yaxis.type = "log";
    }
    const narrow = !printing && node.clientWidth < 500;
    if (narrow) {
      layout.margin = { ...layout.margin, l: 30, r: 8 };
    }
    // names that stand below each other take room from the lines
    const names = layout.showlegend ? data.length : 0;
    layout.height += narrow && names > 3 ? 19 * (names - 2) : 0;
    node.style.height = layout.height + "px";
    Plotly.react(node, data, layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: narrow ? false : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      scrollZoom: false,
    });
  };

  const drawAll = () => Object.keys(charts.figures).forEach(draw);

  for (const button of document.querySelectorAll("button.log")) {
    button.addEventListener("click", () => {
      const key = button.dataset.for;
      const on = !logarithmic.has(key);
      if (on) {
        logarithmic.add(key);
      } else {
        logarithmic.delete(key);
      }
      button.setAttribute("aria-pressed", String(on));
      draw(key);
    });
  }
  const reprint = (now) => () => {
    printing = now;
    drawAll();
  };
  addEventListener("beforeprint", reprint(true));
  addEventListener("afterprint", reprint(false));
  darkness.addEventListener("change", drawAll);
  drawAll();
})();
