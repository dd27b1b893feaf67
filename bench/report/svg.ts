/**
 * Small bar charts as SVG text: one bar a contender, the median as its length, the spread as a whisker. Colours hold on
 * light and dark pages; ours is the one that stands out.
 *
 * Zone: control. Pure.
 */
import type { Summary } from '../measure/statistics.ts';
import { number } from './numbers.ts';

export interface Bar {
  readonly label: string;
  readonly summary: Summary;
  readonly ours: boolean;
}

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 640; // px, all of them
const LABEL_WIDTH = 150;
const VALUE_WIDTH = 90;
const ROW = 22;
const BAR = 14;
const HEAD = 30;
const PLOT = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
const COLOURS = { ours: '#d9480f', theirs: '#748ffc', text: '#868e96', whisker: '#495057' };

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const px = (value: number): string => String(Math.round(value * 10) / 10);

function row({ label, summary, ours }: Bar, index: number, scale: number): string[] {
  const y = HEAD + index * ROW;
  const middle = y + ROW / 2;
  const at = (value: number): string => px(LABEL_WIDTH + value * scale);
  const colour = ours ? COLOURS.ours : COLOURS.theirs;
  const whisker =
    summary.count < 2
      ? []
      : [
          `<path d="M${at(summary.min)} ${px(middle)}H${at(summary.max)}" stroke="${COLOURS.whisker}" stroke-width="2"/>`,
        ];
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${px(middle + 4)}" text-anchor="end">${escape(label)}</text>`,
    `<rect x="${LABEL_WIDTH}" y="${px(middle - BAR / 2)}" width="${px(Math.max(1, summary.median * scale))}" height="${BAR}" fill="${colour}"/>`,
    ...whisker,
    `<text x="${px(LABEL_WIDTH + summary.max * scale + 6)}" y="${px(middle + 4)}">${number(summary.median)}</text>`,
  ];
}

/** The empty string without bars. */
export function barChart({ title, unit, bars }: Chart): string {
  if (bars.length === 0) return '';
  const longest = Math.max(...bars.map(({ summary }) => summary.max));
  const scale = longest > 0 ? PLOT / longest : 0;
  const height = HEAD + bars.length * ROW + 8;
  const style = `font-family="sans-serif" font-size="12" fill="${COLOURS.text}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ${style}>`,
    `<text x="8" y="18" font-size="13" font-weight="bold">${escape(title)}, ${escape(unit)}</text>`,
    ...bars.flatMap((bar, index) => row(bar, index, scale)),
    '</svg>',
    '',
  ].join('\n');
}
