// What both pictures need of a canvas: its size in CSS pixels, and the colours of the page.

/** Calls `draw(context, width, height)` on a blank canvas, sharp on any display. */
export function paint(canvas, draw) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0) return;
  const scale = devicePixelRatio;
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  draw(context, width, height);
}

let colours;

/** A colour of style.css by the name of its property. */
export function colour(name) {
  colours ??= getComputedStyle(document.documentElement);
  return colours.getPropertyValue(`--${name}`);
}

export const FONT = "system-ui, sans-serif";

/** About `count` round numbers in a range. */
export function ticks(from, to, count) {
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(from / step);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}
