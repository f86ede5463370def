// Shows the values of a chart at the frame under the pointer; every chart carries its values as JSON.
const tip = document.getElementById("tip");

function nearest(series, x) {
  let best = -1;
  series.x.forEach((value, index) => {
    const known = series.y[index] !== null;
    if (known && (best < 0 || Math.abs(value - x) < Math.abs(series.x[best] - x))) best = index;
  });
  return best;
}

for (const chart of document.querySelectorAll(".chart")) {
  const svg = chart.querySelector("svg");
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cursor.setAttribute("class", "cursor");
  svg.append(cursor);
  let shown = null;
  chart.addEventListener("pointermove", (event) => {
    shown ??= JSON.parse(chart.dataset.chart);
    const { box: [left, right, top, bottom], ends: [first, last] } = shown;
    const place = svg.getBoundingClientRect();
    const pointer = ((event.clientX - place.left) / place.width) * svg.viewBox.baseVal.width;
    const x = first + ((pointer - left) / (right - left)) * (last - first);
    const known = shown.series.map((series) => [series, nearest(series, x)]).filter(([, index]) => index >= 0);
    const distance = ([series, index]) => Math.abs(series.x[index] - x);
    const closest = known.reduce((one, other) => (distance(other) < distance(one) ? other : one));
    const at = closest[0].x[closest[1]];
    const values = known.filter(([series, index]) => series.x[index] === at);
    const position = left + ((at - first) / (last - first)) * (right - left);
    cursor.setAttribute("d", `M${position} ${top}V${bottom}`);
    const lines = values.map(([series, index]) => `${series.name}  ${Number(series.y[index].toPrecision(4))}`);
    tip.textContent = [`${shown.label} ${at}`, ...lines].join("\n");
    tip.style.display = "block";
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6)}px`;
  });
  chart.addEventListener("pointerleave", () => {
    cursor.removeAttribute("d");
    tip.style.display = "none";
  });
}
