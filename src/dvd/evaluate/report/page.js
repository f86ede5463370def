// Reads values off the charts: each states its two scales, and its lines are in the picture's own coordinates.
const tip = document.getElementById("tip");
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = FRAME;
const number = (value) => Number(value.toPrecision(4)).toString();

function nearest(svg, x) {
  const best = new Map();
  for (const mark of svg.querySelectorAll("[data-name]")) {
    const box = mark.getBBox();
    const points = mark.points ? Array.from(mark.points, (p) => [p.x, p.y]) : [[box.x + box.width / 2, box.y + box.height / 2]];
    for (const [px, py] of points) {
      const known = best.get(mark.dataset.name);
      if (!known || Math.abs(px - x) < Math.abs(known[0] - x)) best.set(mark.dataset.name, [px, py]);
    }
  }
  return best;
}

for (const svg of document.querySelectorAll("svg.chart")) {
  const [left, right] = svg.dataset.x.split(" ").map(Number);
  const [low, high] = svg.dataset.y.split(" ").map(Number);
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cursor.setAttribute("class", "cursor");
  svg.append(cursor);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const best = nearest(svg, ((event.clientX - box.left) / box.width) * WIDTH);
    if (!best.size) return;
    const x = [...best.values()][0][0];
    cursor.setAttribute("d", `M${x} ${TOP}V${HEIGHT - BOTTOM}`);
    const place = left + ((x - LEFT) / (WIDTH - LEFT - RIGHT)) * (right - left);
    const lines = Array.from(best, ([name, [, y]]) => {
      const height = (HEIGHT - BOTTOM - y) / (HEIGHT - TOP - BOTTOM);
      const value = svg.dataset.log ? low * (high / low) ** height : low + height * (high - low);
      return `${name}  ${number(value)}`;
    });
    tip.textContent = [`${svg.dataset.axis} ${Math.round(place)}`, ...lines].join("\n");
    tip.style.display = "block";
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6)}px`;
  });
  svg.addEventListener("pointerleave", () => {
    cursor.removeAttribute("d");
    tip.style.display = "none";
  });
}
