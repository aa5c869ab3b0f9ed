/** Light and dark, from a narrow phone to a wide screen; colour never says anything alone. */
export const STYLE: string = `
:root {
  --ground: #f4f6f7; --card: #fff; --ink: #16222b; --quiet: #566772; --line: #d9e0e4;
  --accent: #0b7a6f; --accent-ink: #fff; --match: #2a9d74; --tolerated: #d29a1e; --divergent: #cf3f3f;
  --incomparable: #8d9ba4; --wire-a: #0b7a6f; --wire-b: #d1792a; --hover: #eef3f3; --focus: #1b6fd1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10171b; --card: #182127; --ink: #e6edf0; --quiet: #9db0ba; --line: #2b3840;
    --accent: #35b3a4; --accent-ink: #06201d; --match: #3dbb8c; --tolerated: #e0b04a; --divergent: #f07070;
    --incomparable: #74848e; --wire-a: #35b3a4; --wire-b: #e79a54; --hover: #202b32; --focus: #7fb4ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1, h2, p { margin: 0; }
h1 { font-size: 1.15rem; letter-spacing: .01em; display: flex; gap: .6rem; align-items: center; }
h1 svg { width: 34px; height: 16px; fill: none; stroke-width: 2.4; }
h2 { font-size: .95rem; }
.wire-a { stroke: var(--wire-a); } .wire-b { stroke: var(--wire-b); }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; padding: .8rem 1.25rem;
  background: var(--card); border-bottom: 1px solid var(--line); }
header #link { margin-left: auto; }
#link { display: flex; align-items: center; gap: .45rem; color: var(--quiet); font-size: .85rem; }
.dot { width: .6rem; height: .6rem; border-radius: 50%; background: var(--tolerated); }
#link[data-state=live] .dot { background: var(--match); } #link[data-state=lost] .dot { background: var(--divergent); }
main { max-width: 1180px; margin: 0 auto; padding: 1.1rem 1.25rem 3rem; display: grid; gap: 1.1rem; }
.pair { display: grid; gap: 1.1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); align-items: start; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.15rem; min-width: 0; }
.title { display: flex; flex-wrap: wrap; align-items: baseline; gap: .3rem 1rem; margin-bottom: .7rem; }
.title > p { margin-left: auto; }
.quiet, .none { color: var(--quiet); } .none { padding: .4rem 0; }
.figure { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: .8rem; }
.side { border: 2px solid var(--line); border-radius: 8px; padding: .7rem .9rem; }
.side.primary { border-color: var(--accent); }
.side b { font-size: 1.3rem; letter-spacing: .04em; }
.badge { display: inline-block; margin-left: .6rem; padding: .05rem .55rem; border-radius: 1rem; font-size: .78rem;
  border: 1px solid var(--line); color: var(--quiet); vertical-align: .2em; }
.primary .badge { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: .9rem; }
button, select, input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: .38rem .8rem; }
button { cursor: pointer; } button:hover:not(:disabled) { background: var(--hover); }
button.main { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); font-weight: 600; }
button.main:hover:not(:disabled) { background: var(--accent); filter: brightness(1.08); }
button:disabled { opacity: .45; cursor: default; }
button.plain { border: 0; padding: .1rem .4rem; color: var(--accent); background: none; text-decoration: underline; text-underline-offset: 3px; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.bar { display: block; width: 100%; height: 14px; border-radius: 7px; margin-bottom: .7rem; background: var(--line); overflow: hidden; }
.fill-match { fill: var(--match); background: var(--match); } .fill-tolerated { fill: var(--tolerated); background: var(--tolerated); }
.fill-divergent { fill: var(--divergent); background: var(--divergent); }
.fill-incomparable, .fill-skipped { fill: var(--incomparable); background: var(--incomparable); }
.fill-compared { fill: var(--accent); background: var(--accent); }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .5rem; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th { text-align: left; font-weight: 600; color: var(--quiet); font-size: .8rem; }
th, td { padding: .32rem .6rem .32rem 0; vertical-align: top; } tbody tr + tr > * { border-top: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.scroll { overflow-x: auto; }
code { font: .86em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
td code { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.doing { display: flex; flex-wrap: wrap; gap: .1rem .4rem; margin-top: .2rem; } .doing button.plain { padding-left: 0; }
details { margin-top: .3rem; } summary { cursor: pointer; color: var(--accent); font-size: .85rem; }
.ok::before { content: "✓ "; color: var(--match); font-weight: 700; } .bad::before { content: "✕ "; color: var(--divergent); font-weight: 700; }
#notice { border: 1px solid var(--divergent); border-left-width: 6px; border-radius: 8px; padding: .6rem .9rem; background: var(--card); }
#attempt:not(:empty) { margin-top: .9rem; border-top: 1px solid var(--line); padding-top: .7rem; }
dialog { border: 1px solid var(--line); border-radius: 12px; background: var(--card); color: var(--ink); max-width: 30rem; padding: 1.2rem 1.3rem; }
dialog::backdrop { background: rgb(0 0 0 / .45); } dialog p { margin: .6rem 0; } dialog input { width: 100%; margin-top: .2rem; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .4rem .8rem; }
`;
