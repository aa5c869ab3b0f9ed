/** The page before its script has filled it. Style and script stand where the comments are. */
export const MARKUP: string = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Twinwire</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 5h6l3 6h5M1 11h6l3-6h5' fill='none' stroke='%230e8a7d' stroke-width='2'/%3E%3C/svg%3E">
<style>/*style*/</style>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header>
  <h1><svg viewBox="0 0 34 16" aria-hidden="true"><path class="wire-a" d="M1 4h10l8 8h14"/><path class="wire-b" d="M1 12h10l8-8h14"/></svg>Twinwire</h1>
  <label id="picker" hidden>Migration <select id="names"></select></label>
  <p id="link" role="status" data-state="wait"><span class="dot" aria-hidden="true"></span><span id="link-text">connecting</span></p>
</header>
<main id="main" aria-busy="true">
  <p id="notice" role="alert" hidden></p>
  <section aria-labelledby="route-title" class="card route">
    <div class="title"><h2 id="route-title">Route</h2><p id="phase" class="quiet"></p></div>
    <div id="sides" class="sides"></div>
    <div class="actions">
      <button id="to-new" class="main">Move traffic to NEW</button>
      <button id="to-old" class="main">Move traffic to OLD</button>
      <button id="abort" hidden>Give up the attempt</button>
      <button id="shadow"></button>
    </div>
    <div id="attempt" aria-live="polite"></div>
  </section>
  <div class="pair">
    <section aria-labelledby="coverage-title" class="card">
      <div class="title"><h2 id="coverage-title">Coverage</h2><p id="coverage-share" class="figure"></p></div>
      <div id="coverage"></div>
    </section>
    <section aria-labelledby="verdicts-title" class="card">
      <div class="title"><h2 id="verdicts-title">Verdicts</h2><p id="verdicts-share" class="figure"></p></div>
      <div id="verdicts"></div>
    </section>
  </div>
  <section aria-labelledby="divergences-title" class="card">
    <div class="title"><h2 id="divergences-title">Divergences</h2>
      <p class="links"><button class="plain" data-report="html">Report</button><button class="plain" data-report="md">Markdown</button><button class="plain" data-report="json">JSON</button></p></div>
    <div id="divergences"></div>
    <details id="others"><summary id="others-title">Other differences</summary><div id="other-divergences"></div></details>
  </section>
  <section aria-labelledby="rules-title" class="card">
    <div class="title"><h2 id="rules-title">Rules</h2></div>
    <div id="rules"></div>
  </section>
  <div class="pair">
    <section aria-labelledby="readiness-title" class="card">
      <div class="title"><h2 id="readiness-title">Readiness</h2><p id="ready" class="figure"></p></div>
      <div id="guards"></div>
    </section>
    <section aria-labelledby="statements-title" class="card">
      <div class="title"><h2 id="statements-title">Busiest statements</h2></div>
      <div id="statements"></div>
    </section>
  </div>
</main>
<dialog id="ask" aria-labelledby="ask-title">
  <form method="dialog">
    <h2 id="ask-title"></h2>
    <p id="ask-text"></p>
    <label id="ask-amount" hidden>Largest difference <input id="amount" inputmode="decimal" autocomplete="off" placeholder="0.01"></label>
    <label id="ask-token" hidden>Token <input id="token" type="password" autocomplete="off" spellcheck="false"></label>
    <div class="actions"><button value="yes" class="main" id="ask-yes">Yes</button><button value="no" formnovalidate>Cancel</button></div>
  </form>
</dialog>
<noscript>This page needs JavaScript. The same is to be had from <code>twinwire status</code>.</noscript>
<script>/*script*/</script>
</body>
</html>
`;
