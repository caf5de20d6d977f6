// The letters at the places of their embeddings, each beside its dot and out of the others' way.

import { FONT, colour, paint } from "./canvas.js";

const LETTERS = ".abcdefghijklmnopqrstuvwxyz";
const DOT = 3;
/** A letter keeps this far from its dot, other letters and other dots, in pixels. */
const OFFSET = 12;
const BETWEEN_LETTERS = 17;
const TO_DOTS = 12;
/** Letters that need not be in the square; they stand at its edge, as rings. */
const OUTLIERS = 2;
const EDGE = 8;
/** Frames of the trail that a dot leaves. */
const TRAIL = 30;

const look = (token) =>
  token === 0 ? "end-mark" : "aeiou".includes(LETTERS[token]) ? "vowel" : "consonant";

export class LettersPicture {
  #canvas;
  /** Where the letters stand, relative to their dots. */
  #offsets = LETTERS.split("").map((_, i) => polar(OFFSET, (i * 2 * Math.PI) / 27 - 1));
  constructor(canvas) {
    this.#canvas = canvas;
  }

  /**
   * Draws the letters at a point between two frames. `rounds` says how far their places are
   * settled. Returns whether letters still moved.
   */
  draw(history, shown, isTrailed, rounds = 3) {
    const { frames } = history;
    if (frames.length === 0) return false;
    let index = frames.findLastIndex((frame) => frame.step <= shown);
    index = Math.max(0, index);
    const places = between(frames[index], frames[Math.min(index + 1, frames.length - 1)], shown);
    const view = viewOf(places);
    let isMoving = false;
    paint(this.#canvas, (context, width, height) => {
      const scale = Math.min(width, height) / 2 / view.reach;
      const at = (places, token) => [
        width / 2 + scale * (places[2 * token] - view.x),
        height / 2 - scale * (places[2 * token + 1] - view.y),
      ];
      cross(context, at([0, 0], 0), width, height);
      if (isTrailed) {
        const trail = frames.slice(Math.max(0, index - TRAIL), index + 1);
        this.#trails(context, [...trail.map((frame) => frame.letters), places], at);
      }
      const dots = this.#offsets.map((_, token) => {
        const [x, y] = at(places, token);
        return [clamp(x, EDGE, width - EDGE), clamp(y, EDGE, height - EDGE), at(places, token)];
      });
      for (let i = 0; i < rounds; i++) isMoving = this.#settle(dots, width, height);
      this.#letters(context, dots);
    });
    return isMoving;
  }

  #trails(context, trail, at) {
    context.lineWidth = 1;
    context.globalAlpha = 0.35;
    for (let token = 0; token < 27; token++) {
      context.strokeStyle = colour(look(token));
      context.beginPath();
      for (const places of trail) context.lineTo(...at(places, token));
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** One round in which letters move towards their dots and away from everything else. */
  #settle(dots, width, height) {
    const letters = dots.map(([x, y], i) => [x + this.#offsets[i][0], y + this.#offsets[i][1]]);
    let farthest = 0;
    this.#offsets = this.#offsets.map((offset, i) => {
      const length = Math.hypot(...offset) || 1;
      const pull = (0.2 * (OFFSET - length)) / length;
      const force = [offset[0] * pull, offset[1] * pull];
      const avoid = ([x, y], distance) => {
        const [dx, dy] = [letters[i][0] - x, letters[i][1] - y];
        const gap = Math.hypot(dx, dy) || 0.1;
        if (gap >= distance) return;
        const push = (0.35 * (distance - gap)) / gap;
        force[0] += dx * push + 1e-3 * (i - 13);
        force[1] += dy * push;
      };
      letters.forEach((letter, j) => j !== i && avoid(letter, BETWEEN_LETTERS));
      dots.forEach((dot, j) => j !== i && avoid(dot, TO_DOTS));
      const moved = [offset[0] + force[0], offset[1] + force[1]];
      // Inside the frame.
      const inside = (value, dot, size) => clamp(value, 9 - dot, size - 9 - dot);
      const result = [inside(moved[0], dots[i][0], width), inside(moved[1], dots[i][1], height)];
      farthest = Math.max(farthest, Math.hypot(result[0] - offset[0], result[1] - offset[1]));
      return result;
    });
    return farthest > 0.15;
  }

  #letters(context, dots) {
    context.font = `600 15px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    dots.forEach(([x, y, [trueX, trueY]], token) => {
      const [dx, dy] = this.#offsets[token];
      context.fillStyle = colour(look(token));
      context.strokeStyle = context.fillStyle;
      const length = Math.hypot(dx, dy);
      if (length > OFFSET + 6) {
        context.lineWidth = 0.75;
        context.beginPath();
        context.moveTo(x, y);
        context.lineTo(x + dx * (1 - 8 / length), y + dy * (1 - 8 / length));
        context.stroke();
      }
      context.beginPath();
      context.arc(x, y, DOT, 0, 2 * Math.PI);
      context.lineWidth = 1.5;
      if (x === trueX && y === trueY) context.fill();
      else context.stroke(); // it is farther out
      context.lineWidth = 3;
      context.strokeStyle = colour("card");
      context.strokeText(LETTERS[token], x + dx, y + dy);
      context.fillText(LETTERS[token], x + dx, y + dy);
    });
  }
}

function polar(length, angle) {
  return [length * Math.cos(angle), length * Math.sin(angle)];
}

function between(a, b, step) {
  const part = b.step > a.step ? Math.min(Math.max((step - a.step) / (b.step - a.step), 0), 1) : 0;
  return Array.from(a.letters, (value, i) => value + part * (b.letters[i] - value));
}

/** The middle and half the side of the square that is shown: all letters but the farthest few. */
function viewOf(places) {
  const xs = places.filter((_, i) => i % 2 === 0);
  const ys = places.filter((_, i) => i % 2 === 1);
  const middle = (values) => values.toSorted((a, b) => a - b)[13];
  const [x, y] = [middle(xs), middle(ys)];
  const distances = xs.map((_, i) => Math.max(Math.abs(xs[i] - x), Math.abs(ys[i] - y)));
  const far = distances.toSorted((a, b) => a - b)[26 - OUTLIERS];
  return { x, y, reach: 1.15 * far || 1 };
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** The axes, where they are in sight. */
function cross(context, [x, y], width, height) {
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, Math.round(y) + 0.5);
  context.lineTo(width, Math.round(y) + 0.5);
  context.moveTo(Math.round(x) + 0.5, 0);
  context.lineTo(Math.round(x) + 0.5, height);
  context.stroke();
}
