// A line chart over time in SVG: gaps where there is no value, the plan's stages as bands, faults as upright lines.
// Drawn here because this page must be served by the master alone, with no foreign file, and redraws each second.
// The finished report draws its charts in Python (reports/render/charts), because it must show them without a script.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 44, RIGHT = 8, TOP = 16, BOTTOM = 20;

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return (hours ? `${hours}:${pad(Math.floor(whole / 60) % 60)}` : Math.floor(whole / 60)) + ":" + pad(whole % 60);
}

export function round(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return size >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(size >= 10 ? 1 : 2);
}

function step(span, parts) {
  const rough = span / parts, power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function timeStep(span, parts) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200];
  return steps.find((one) => span / one <= parts) ?? Math.ceil(span / parts / 86400) * 86400;
}

export class Chart {
  // series: [{name, colour, dashed?, values(points) -> array of number | null}]; low, high: fixed ends of the scale.
  constructor(parent, { title, unit, series, low = 0, high = null }, onHover) {
    Object.assign(this, { series, unit, low, high });
    const card = document.createElement("section");
    card.className = "card";
    const heading = document.createElement("h2");
    heading.textContent = unit ? `${title}, ${unit}` : title;
    this.legend = document.createElement("div");
    this.legend.className = "legend";
    this.labels = series.map(({ name, colour, dashed }) => {
      const label = document.createElement("span"), mark = document.createElement("i");
      mark.className = colour + (dashed ? " dashed" : "");
      const value = document.createElement("b");
      label.append(mark, `${name} `, value);
      this.legend.append(label);
      return value;
    });
    this.svg = node("svg", { role: "img", "aria-label": title });
    card.append(heading, this.legend, this.svg);
    parent.append(card);
    this.svg.addEventListener("pointermove", (event) => {
      const box = this.svg.getBoundingClientRect();
      onHover(Math.min(1, Math.max(0, (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT))));
    });
    this.svg.addEventListener("pointerleave", () => onHover(null));
  }

  // at: where the pointer is, as a share of the time shown; null for nowhere.
  draw(points, faults, at) {
    const width = this.svg.clientWidth, height = this.svg.clientHeight;
    if (!width || !points.length) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const from = points[0].at_s, until = Math.max(points.at(-1).at_s, from + 10);
    const lines = this.series.map(({ values }) => values(points));
    const seen = lines.flat().filter((value) => value !== null && value !== undefined);
    const top = this.high ?? Math.max(this.low + 1e-9, ...seen) * 1.05, bottom = Math.min(this.low, ...seen);
    const x = (at_s) => LEFT + ((at_s - from) / (until - from)) * (width - LEFT - RIGHT);
    const y = (value) => height - BOTTOM - ((value - bottom) / (top - bottom || 1)) * (height - TOP - BOTTOM);
    const drawn = [...this.bands(points, x, height), ...this.axes(bottom, top, from, until, x, y, width, height)];
    for (const fault of faults.filter(({ at_s }) => at_s >= from && at_s <= until)) {
      const line = node("line", { class: "fault", x1: x(fault.at_s), x2: x(fault.at_s), y1: TOP, y2: height - BOTTOM });
      line.append(node("title", {}, `${fault.what}: ${fault.detail}`));
      drawn.push(line);
    }
    this.series.forEach(({ colour, dashed }, place) => {
      let path = "", pen = "M";
      lines[place].forEach((value, index) => {
        if (value === null || value === undefined) { pen = "M"; return; }
        path += `${pen}${x(points[index].at_s).toFixed(1)} ${y(Math.min(value, top)).toFixed(1)}`;
        pen = "L";
      });
      drawn.push(node("path", { class: colour + (dashed ? " dashed" : ""), d: path }));
    });
    let index = points.length - 1;
    if (at !== null) {
      const wanted = from + at * (until - from);
      index = points.findIndex(({ at_s }) => at_s >= wanted);
      if (index < 0) index = points.length - 1;
      const place = x(points[index].at_s);
      drawn.push(node("line", { class: "cross", x1: place, x2: place, y1: TOP, y2: height - BOTTOM }));
      drawn.push(node("text", { x: place, y: height - BOTTOM - 4, "text-anchor": at > 0.5 ? "end" : "start", dx: at > 0.5 ? -4 : 4 },
        clock(points[index].at_s - from)));
    }
    this.labels.forEach((label, place) => { label.textContent = round(lines[place][index]); });
    this.svg.replaceChildren(...drawn);
  }

  bands(points, x, height) {
    const drawn = [];
    let begin = 0, dark = false, lastEnd = -Infinity;
    for (let index = 1; index <= points.length; index++) {
      if (index < points.length && points[index].stage === points[begin].stage) continue;
      const left = x(points[begin].at_s), right = x(points[Math.min(index, points.length - 1)].at_s);
      if (dark) drawn.push(node("rect", { class: "band", x: left, width: right - left, y: TOP, height: height - TOP - BOTTOM }));
      const name = points[begin].stage;
      // A name is shown where it fits.
      if (name && name.length * 6.2 < right - left + 20 && left > lastEnd) {
        drawn.push(node("text", { x: left + 2, y: TOP - 5 }, name));
        lastEnd = left + name.length * 6.2;
      }
      begin = index;
      dark = !dark;
    }
    return drawn;
  }

  axes(bottom, top, from, until, x, y, width, height) {
    const drawn = [], upright = step(top - bottom || 1, 4);
    for (let value = Math.ceil(bottom / upright) * upright; value <= top + 1e-9; value += upright) {
      drawn.push(node("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
      drawn.push(node("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(+value.toFixed(6))));
    }
    const across = timeStep(until - from, Math.max(2, Math.floor(width / 90)));
    for (let value = 0; value <= until - from + 1e-9; value += across) {
      const place = x(from + value);
      drawn.push(node("text", { x: place, y: height - 5, "text-anchor": place > width - 30 ? "end" : "middle" }, clock(value)));
    }
    return drawn;
  }
}
