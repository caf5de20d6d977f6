// The loss curve: batches as a thin line, the validation part as a thick one.

import { FONT, colour, paint, ticks } from "./canvas.js";

/** Losses above this are cut off: the first steps would press all others together. */
const HIGHEST = 4;
/** The loss of guessing: 27 tokens, all as likely. */
const GUESSING = Math.log(27);
const MARGIN = { left: 44, right: 16, top: 12, bottom: 40 };

const number = new Intl.NumberFormat("en");

/**
 * Draws the curve of `history` up to the step `shown`, and what follows it faintly, if `isBack`.
 * `history` has `frames` of { step, loss }, and `looks` of { step, validation }.
 */
export function drawLoss(canvas, history, shown, end, isBack) {
  paint(canvas, (context, width, height) => {
    const { left, top } = MARGIN;
    const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
    const range = lossRange(history);
    const x = (step) => left + ((right - left) * step) / end;
    const y = (loss) => bottom - ((bottom - top) * (loss - range[0])) / (range[1] - range[0]);
    context.font = `12px ${FONT}`;
    axes(context, { left, right, top, bottom, x, y, range, end });

    context.save();
    context.beginPath();
    context.rect(left, top, right - left + 6, bottom - top);
    context.clip();
    const batches = history.frames.filter((frame) => frame.loss !== undefined);
    const batchPoints = batches.map((frame) => [frame.step, frame.loss]);
    const lookPoints = history.looks.map((look) => [look.step, look.validation]);
    const draw = (points, isDone) => {
      context.globalAlpha = isDone ? 1 : 0.25;
      line(context, batchPoints.filter(points), x, y, colour("line-batch"), 1.25);
      line(context, lookPoints.filter(points), x, y, colour("accent"), 2.5);
    };
    if (isBack) draw(() => true, false);
    draw(([step]) => step <= shown, true);
    marker(context, lookPoints, shown, x, y);
    context.restore();
  });
}

function lossRange({ frames, looks }) {
  const losses = [...frames.map((frame) => frame.loss), ...looks.map((look) => look.validation)];
  const lowest = losses.reduce((low, loss) => Math.min(low, loss ?? low), 2.4);
  return [Math.floor(lowest * 5) / 5, HIGHEST];
}

function axes(context, { left, right, top, bottom, x, y, range, end }) {
  context.lineWidth = 1;
  context.strokeStyle = colour("line");
  context.fillStyle = colour("soft");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const loss of ticks(...range, 4)) {
    stroke(context, [left, y(loss)], [right, y(loss)]);
    context.fillText(loss.toFixed(1), left - 8, y(loss));
  }
  context.textBaseline = "top";
  const count = right - left > 420 ? 5 : 2;
  for (const step of ticks(0, end, count)) {
    context.textAlign = step === end ? "right" : step === 0 ? "left" : "center";
    context.fillText(number.format(step), x(step), bottom + 8);
  }
  context.textAlign = "center";
  context.fillText("steps", (left + right) / 2, bottom + 24);

  context.setLineDash([4, 4]);
  context.strokeStyle = colour("soft");
  stroke(context, [left, y(GUESSING)], [right, y(GUESSING)]);
  context.setLineDash([]);
  context.textAlign = "right";
  context.textBaseline = "bottom";
  context.fillText("guessing: 3.30", right, y(GUESSING) - 3);
}

function stroke(context, [x1, y1], [x2, y2]) {
  context.beginPath();
  context.moveTo(x1, Math.round(y1) + 0.5);
  context.lineTo(x2, Math.round(y2) + 0.5);
  context.stroke();
}

function line(context, points, x, y, style, width) {
  context.strokeStyle = style;
  context.lineWidth = width;
  context.lineJoin = "round";
  context.beginPath();
  for (const [step, loss] of points) context.lineTo(x(step), y(loss));
  context.stroke();
}

/** A dot on the validation curve at the last look before `shown`, with its loss. */
function marker(context, points, shown, x, y) {
  const point = points.findLast(([step]) => step <= shown);
  if (!point) return;
  const [px, py] = [x(point[0]), y(point[1])];
  context.fillStyle = colour("accent");
  context.beginPath();
  context.arc(px, py, 4, 0, 2 * Math.PI);
  context.fill();
  context.font = `600 13px ${FONT}`;
  context.textBaseline = "bottom";
  const text = point[1].toFixed(3);
  const isAtStart = px < context.measureText(text).width + 60;
  context.textAlign = isAtStart ? "left" : "right";
  const above = Math.max(py - 9, MARGIN.top + 16);
  context.lineWidth = 4;
  context.strokeStyle = colour("card");
  context.strokeText(text, isAtStart ? px + 8 : px, above);
  context.fillText(text, isAtStart ? px + 8 : px, above);
}
