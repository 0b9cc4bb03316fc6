// Looks at pages with axe and pa11y (WCAG 2 AA) in one browser: on light and dark screens, wide and narrow.
//
//     node check.js CHROMIUM PAGE...      one line of JSON a problem; nothing where there is none
//
// Its modules are where NODE_PATH says.
'use strict';
const fs = require('fs');
const {pathToFileURL} = require('url');
const puppeteer = require('puppeteer');
const pa11y = require('pa11y');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const SCREENS = [
  {theme: 'light', width: 1100, height: 900},
  {theme: 'dark', width: 320, height: 640},
];

async function main([chromium, ...paths]) {
  const browser = await puppeteer.launch({
    executablePath: chromium,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--host-resolver-rules=MAP * ~NOTFOUND'],
  });
  const told = (page, by, what) => process.stdout.write(JSON.stringify({page, by, what}) + '\n');
  try {
    for (const path of paths) {
      const url = pathToFileURL(path).href;
      for (const {theme, width, height} of SCREENS) {
        const page = await browser.newPage();
        page.on('request', request => {
          if (!request.url().startsWith('file:')) told(path, 'network', request.url());
        });
        page.on('console', message => told(path, 'console', message.text()));
        await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: theme}]);
        await page.setViewport({width, height});
        await page.goto(url);
        await page.evaluate(AXE);
        const found = await page.evaluate(() => axe.run(document, {resultTypes: ['violations']}));
        for (const one of found.violations) {
          told(path, `axe, ${theme}`, `${one.id}: ${one.help}: ${one.nodes.map(node => node.html).slice(0, 3).join(' ')}`);
        }
        // Who goes by keyboard comes to every link, in order, and sees where they are.
        const links = await page.evaluate(() => document.querySelectorAll('a[href]').length);
        const met = [];
        for (let at = 0; at < Math.min(links, 12); at++) {
          await page.keyboard.press('Tab');
          met.push(await page.evaluate(() => {
            const here = document.activeElement;
            const place = [...document.querySelectorAll('a[href]')].indexOf(here);
            return [place, getComputedStyle(here).outlineStyle, here.getBoundingClientRect().right > 0];
          }));
        }
        met.forEach(([place, outline, seen], at) => {
          if (place !== at || outline === 'none' || !seen) {
            told(path, `keyboard, ${theme}`, `Tab ${at + 1}: link ${place}, outline ${outline}, seen ${seen}`);
          }
        });
        if (theme === 'dark') {
          await page.close();
          continue;  // the same text and the same tags: only colours and widths are others
        }
        const heard = await pa11y(url, {
          browser, page, standard: 'WCAG2AA', runners: ['htmlcs'], includeWarnings: false, ignoreUrl: true,
        });
        for (const one of heard.issues) {
          told(path, `pa11y, ${theme}`, `${one.code}: ${one.message}: ${one.context}`);
        }
        await page.close();
      }
    }
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).catch(error => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
