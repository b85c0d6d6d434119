/*
 * page.mjs: looks at the status page in Chromium, as people do. Run by
 * tests/lib/page.sh, which turns what it says into TAP: a line
 * "ok<TAB>name" or "not ok<TAB>name<TAB>what was seen" for each test.
 *
 *   page.mjs live    a pool is running: from the first visit to a full page
 *   page.mjs first   likewise, and no further than the first photo
 *   page.mjs lost    no pool is running
 *
 * Environment: PAGE_URL (of nginx), SIM_URL, PHOTOS (names, one a line; with
 * `live` the last is no picture), SCREENS (directory for screenshots), NPM (directory with
 * node_modules), CHROMIUM.
 */
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';

const {PAGE_URL, SIM_URL, PHOTOS, SCREENS, NPM, CHROMIUM} = process.env;
const require = createRequire(`${NPM}/`);
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const PATIENCE_MS = 30000;
const PHONE = {width: 360, height: 740};
const DESK = {width: 1280, height: 900};

const TOUCH = {
  viewport: PHONE, hasTouch: true, isMobile: true, deviceScaleFactor: 2,
};
const LOOKS = [
  ['light', {}], ['dark', {colorScheme: 'dark'}], ['phone', TOUCH],
  ['phone-dark', {...TOUCH, colorScheme: 'dark'}],
];

let browser;

function report(name, isGood, seen) {
  const detail = typeof seen === 'string' ? seen : JSON.stringify(seen);

  console.log(isGood ? `ok\t${name}`
    : `not ok\t${name}\t${(detail ?? '').replace(/\s+/g, ' ')}`);
}

const is = (name, seen, wanted) =>
  report(name, JSON.stringify(seen) === JSON.stringify(wanted),
    `${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`);
const like = (name, seen, pattern) =>
  report(name, pattern.test(seen), `${seen}, not ${pattern}`);

/* ---- a page, and all that it complains of */

async function openPage(options = {}) {
  const {answer, clock, path = '/darkroom/', ...more} = options;
  const context = await browser.newContext({
    ignoreHTTPSErrors: true, viewport: DESK, colorScheme: 'light',
    reducedMotion: 'reduce', locale: 'en-GB', ...more,
  });
  const page = await context.newPage();

  page.complaints = [];
  page.hosts = new Set();
  page.asked = 0;
  page.on('console', (message) => ['error', 'warning'].includes(message.type())
    && page.complaints.push(message.text()));
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('requestfailed', (request) =>
    page.complaints.push(`failed: ${request.url()}`));
  page.on('response', (response) => response.status() >= 400
    && page.complaints.push(`${response.status()}: ${response.url()}`));
  page.on('request', (request) => {
    page.hosts.add(new URL(request.url()).origin);
    page.asked += request.url().endsWith('status.json') ? 1 : 0;
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) =>
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  if (clock) await page.clock.install({time: clock});
  if (answer) await page.route('**/darkroom/status.json', answer);
  await page.goto(PAGE_URL + path);
  return page;
}

const says = (page, id) => page.locator(`#${id}`).innerText();

/* Until the summary is so; what it is then, in any case. */
async function summary(page, pattern) {
  await page.locator('#summary').filter({hasText: pattern})
    .waitFor({timeout: PATIENCE_MS}).catch(() => {});
  return says(page, 'summary');
}

async function noComplaints(name, page) {
  is(`${name}: no error in the console, no failed request`, page.complaints,
    []);
  is(`${name}: the content security policy is kept`,
    await page.evaluate(() => window.violations), []);
  is(`${name}: no other host is asked`, [...page.hosts], [PAGE_URL]);
}

async function accessible(name, page) {
  await page.evaluate(axe);
  const {violations} = await page.evaluate(() => window.axe.run());

  is(`${name}: axe finds nothing`, violations.map(({id, impact, nodes}) =>
    `${impact}: ${id}: ${nodes.map((node) => node.html).join(' ')}`), []);
}

async function fits(name, page) {
  is(`${name}: nothing is wider than the screen`, await page.evaluate(() =>
    document.scrollingElement.scrollWidth > window.innerWidth), false);
}

/* How many pixels of the chart are of this colour of the page, or almost;
 * `part` is of the hour, from 0 to 1. */
async function pixels(page, id, colour, part = [0, 1]) {
  return page.locator(`#${id}-chart`).evaluate((box, [name, from, to]) => {
    const canvas = box.querySelector('canvas');
    const {offsetLeft: left, offsetWidth: width} = box.querySelector('.u-over');
    const ratio = canvas.width / canvas.clientWidth;
    const copy = new OffscreenCanvas(canvas.width, canvas.height)
      .getContext('2d', {willReadFrequently: true});
    const wanted = getComputedStyle(document.documentElement)
      .getPropertyValue(name).match(/[0-9a-f]{2}/g)
      .map((hex) => parseInt(hex, 16));
    let data;
    let found = 0;

    copy.drawImage(canvas, 0, 0);
    ({data} = copy.getImageData((left + from * width) * ratio, 0,
      (to - from) * width * ratio, canvas.height));
    for (let i = 0; i < data.length; i += 4) {
      found += data[i + 3] > 127 && wanted.every((value, c) =>
        Math.abs(data[i + c] - value) < 24) ? 1 : 0;
    }
    return found;
  }, [colour, ...part]);
}

async function charted(name, page) {
  report(`${name}: there are bars`,
    await pixels(page, 'pictures', '--accent') > 20);
  report(`${name}: and times to reply, p50`,
    await pixels(page, 'times', '--accent') > 20);
  report(`${name}: and p99`, await pixels(page, 'times', '--text') > 10);
}

/* The whole page, with the pictures that are loaded as they come into view. */
async function screenshot(page, name) {
  for (const picture of await page.locator('.thumb img').all()) {
    await picture.scrollIntoViewIfNeeded();
    await picture.evaluate((img) => img.decode().catch(() => {}));
  }
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({path: `${SCREENS}/${name}.png`, fullPage: true});
}

/* ---- with a pool */

async function sim(call, body) {
  const answer = await fetch(`${SIM_URL}/sim/${call}`,
    {method: 'POST', body: JSON.stringify(body)});

  return answer.json();
}

async function sendPhoto(file) {
  const {photos} = await sim('photo', {file, wait: true});

  return photos[0].message_id;
}

/* The card of a message, once it says how the picture ended. */
async function card(page, message, title) {
  const found = page.locator(`#jobs li[data-message="${message}"]`);

  await found.filter({has: page.locator('h3', {hasText: title})})
    .waitFor({timeout: PATIENCE_MS}).catch(() => {});
  return found;
}

async function testNew() {
  const page = await openPage();

  is('new: it waits for a picture', await summary(page, /^Working/),
    'Working: ready for the first picture.');
  report('new: what to do next is told',
    await page.locator('#welcome').isVisible());
  is('new: with the address for LINE', await says(page, 'webhook'),
    `${PAGE_URL}/webhook`);
  await accessible('new', page);
  await screenshot(page, 'new');
  await noComplaints('new', page);
  return page;
}

/* The page of before, left open. */
async function testPhoto(page, photo) {
  const message = await sendPhoto(photo);
  const found = await card(page, message, 'Replied');

  is('live: a photo appears by itself', await found.locator('h3').innerText(),
    'Replied');
  is('live: with its preview', await found.locator('img').evaluate((img) =>
    img.decode().then(() => img.naturalWidth > 0)), true);
  like('live: and its receipt', await found.locator('dl').innerText(),
    /Took\s+[\d.]+\sm?s\s+Came\s+\d\d:\d\d:\d\d\s+Channel\s+default/);
  like('live: the ack is told, and of how many', await says(page, 'tiles'),
    /Time to ack\n[\d.]+\s[mµ]s\np50; p99 [\d.]+\s[mµ]s\n\d+ webhooks?\n/);
  report('live: the welcome is gone', await page.locator('#welcome').isHidden());
  like('live: it counts', await says(page, 'pictures-words'),
    /^1 picture answered/);
  await charted('live', page);
  like('live: how long it took is told', await says(page, 'times-words'),
    /^Half within [\d.]+\sm?s, 99 of 100 within [\d.]+\sm?s\. The slowest/);
  is('live: the link leads to the original', await page.request.get(
    await found.locator('a').evaluate((link) => link.href)).then((answer) =>
    `${answer.status()} ${answer.headers()['content-type']}`), '200 image/png');
}

async function testOtherPhotos(page, photos) {
  const noPicture = photos.pop();

  for (const file of photos) await sendPhoto(file);
  const message = await sendPhoto(noPicture);
  const found = await card(page, message, 'User told');

  like('live: a failure says why', await found.locator('dl').innerText(),
    /Why\s+\S/);
  is('live: and is counted', await page.locator('#failures tbody tr').count(),
    1);
  await sim('webhook', {events: [], signature: 'wrong'});
  await page.locator('#webhooks', {hasText: '(401)'})
    .waitFor({timeout: PATIENCE_MS});
  report('live: so is a wrong signature', true);
  await card(page, message, 'User told');
  await noComplaints('live', page);
}

async function testLooks() {
  for (const [name, options] of LOOKS) {
    const page = await openPage(options);

    await summary(page, /^Working/);
    await accessible(name, page);
    await fits(name, page);
    await screenshot(page, name);
    await noComplaints(name, page);
    await page.context().close();
  }
}

/* Tab by Tab: where the focus is, and whether one can see it there. */
async function testKeyboard() {
  const page = await openPage();
  const walk = [];
  const unseen = [];

  await summary(page, /^Working/);
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const node = document.activeElement;
      const {outlineStyle, outlineWidth} = getComputedStyle(node);
      const box = node.getBoundingClientRect();

      return {
        name: node === document.body ? '' : node.className || node.id
          || node.tagName.toLowerCase(),
        isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
          && box.bottom > 0 && box.top < window.innerHeight,
      };
    });
    if (at.name === '') break;
    walk.push(at.name);
    if (!at.isSeen) unseen.push(at.name);
  }
  is('keyboard: the way starts so', walk.slice(0, 4),
    ['skip', 'pause', 'summary', 'thumb']);
  is('keyboard: and ends at the foot', walk.slice(-3), ['a', 'a', 'a']);
  is('keyboard: the focus can be seen everywhere', unseen, []);

  await page.reload();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  is('keyboard: the first link skips to the numbers',
    await page.evaluate(() => document.activeElement.id), 'main');
  await page.locator('#pause').focus();
  await page.keyboard.press('Space');
  like('keyboard: it can be paused', await says(page, 'summary'), /^Paused/);
  is('keyboard: the button tells', await page.locator('#pause')
    .getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('Space');
  like('keyboard: and goes on', await summary(page, /^Working/), /^Working/);
  await page.context().close();
}

/* New cards do not take the focus, nor the picture, from the old ones. */
async function testFocus() {
  const page = await openPage();

  await summary(page, /^Working/);
  const first = page.locator('#jobs a').first();
  await first.focus();
  const label = await first.getAttribute('aria-label');
  await card(page, await sendPhoto(PHOTOS.split('\n')[0]), 'Replied');
  is('focus: it stays where it was', await page.evaluate(() =>
    document.activeElement.getAttribute('aria-label')), label);
  await noComplaints('focus', page);
  await page.context().close();
}

/* ---- with answers of ours: what a pool shows only on a bad day */

const json = (data) => (route) => route.fulfill({json: data});

/* With minutes without a picture, one of them between two others. */
function busyHour(length) {
  const isIdle = (i) => i === 29 || (i > 30 && i < 34);
  const row = (of) => Array.from({length}, (_, i) => of(i));
  const p99 = (i) => Math.round(9e5 + 4e5 * Math.sin(i / 5)
    + ((i * 53) % 11) * 4e4 + (i > 40 && i < 46 ? 2.8e6 : 0));

  return {
    minutes: row((i) => (isIdle(i) ? 0
      : Math.round(14 + 9 * Math.sin(i / 8) + (i * 37) % 7))),
    minutes_time_to_reply: {
      p50_us: row((i) => (isIdle(i) ? null : Math.round(p99(i) ** 0.91))),
      p99_us: row((i) => (isIdle(i) ? null : p99(i))),
    },
  };
}

/* A day with everything in it, made from what the pool has shown. */
function busyDay(data) {
  const published = data.jobs.filter((job) => job.preview_url);
  const ends = [
    {state: 'leased', stage: 'fetch', outcome: 'none', attempts: 1},
    {state: 'ready', stage: 'fetch', outcome: 'none', attempts: 2,
      reason: 'SERVER_ERROR', text: 'LINE answered 500'},
    {outcome: 'replied'}, {outcome: 'replied'}, {outcome: 'pushed'},
    {outcome: 'replied', kind: 'file'}, {outcome: 'replied', attempts: 3},
    {outcome: 'failure_text', reason: 'IMAGE_BROKEN',
      text: 'the picture is damaged'},
    {outcome: 'replied'},
    {outcome: 'dead', attempts: 9, reason: 'TOO_MANY_TRIES',
      text: 'gave up after repeated tries: connection failed'},
    {outcome: 'withdrawn'}, {outcome: 'replied'},
  ];
  const hasFile = ['replied', 'pushed'];
  const jobs = ends.map((end, i) => {
    const {ended_ms: ended, preview_url: preview, original_url: original,
      ...job} = published[i % published.length];

    return {
      ...job, id: 100 + i, message_id: `6000000000000${12345 - i}`,
      channel: ['shop', 'club', 'support-zh-TW'][i % 3],
      received_ms: data.now_ms - i * 7300 - 900,
      ...(end.outcome !== 'none'
        && {ended_ms: data.now_ms - i * 7300 + 412 * (i % 4)}),
      ...(hasFile.includes(end.outcome)
        && {preview_url: preview, original_url: original}),
      ...end,
    };
  });

  return {
    ...data, jobs,
    ...busyHour(data.minutes.length),
    hour_time_to_reply: {count: 1033, p50_us: 873000, p99_us: 2410000},
    queue: {...data.queue, ready: 3, leased: 5, oldest_age_ms: 2300, bodies: 4},
    workers: 8, started_ms: data.now_ms - 9 * 86400000,
    failures: [
      {reason: 'IMAGE_BROKEN', text: 'the picture is damaged', count: 7},
      {reason: 'TOO_MANY_TRIES', text: 'gave up after repeated tries',
        count: 2},
      {reason: 'NOT_AN_IMAGE', text: 'not a picture of a known type',
        count: 41}],
    retries: [
      {reason: 'NOT_READY', text: 'content is still being prepared',
        count: 312},
      {reason: 'SERVER_ERROR', text: 'server error', count: 18}],
    channels: ['shop', 'club', 'support-zh-TW', '(other)'].map((name, i) => ({
      name, outcomes: i > 2 ? {} : {replied: 19283 / (i + 1) | 0, pushed: 12,
        failure_text: 31, dead: 1, withdrawn: 9, skipped: 20},
    })),
  };
}

async function testBusy() {
  const answer = await fetch(`${PAGE_URL}/darkroom/status.json`);
  const data = busyDay(await answer.json());

  for (const [name, options] of LOOKS) {
    const page = await openPage({...options, answer: json(data)});

    await summary(page, /^Working/);
    is(`busy, ${name}: all pictures are there`,
      await page.locator('#jobs h3').allInnerTexts(), ['Fetching',
        'Waiting to retry', 'Replied', 'Replied', 'Pushed', 'Replied',
        'Replied', 'User told', 'Replied', 'Given up', 'Withdrawn',
        'Replied']);
    like(`busy, ${name}: what waits, and for how long`,
      await says(page, 'tiles'), new RegExp('Queue\\n8\\n3 waiting, '
        + '5 in hand\\noldest for 2.3\\ss\\n4 webhooks to forward\\n'));
    await charted(`busy, ${name}`, page);
    await accessible(`busy, ${name}`, page);
    await fits(`busy, ${name}`, page);
    await page.locator('#hour-details summary').click();
    is(`busy, ${name}: the chart is a table, too`,
      await page.locator('#hour-table tbody tr').count(), 56);
    await page.locator('#hour-details summary').click();
    await screenshot(page, `busy-${name}`);
    await noComplaints(`busy, ${name}`, page);
    await page.context().close();
  }
}

const columns = (page) => page.locator('#hour-table thead th')
  .allTextContents();

/* What is drawn of the hour, and what is told of it, as it changes. */
async function testHour() {
  const answer = await fetch(`${PAGE_URL}/darkroom/status.json`);
  const {minutes_time_to_reply: times, ...data} = busyDay(await answer.json());
  let now = {...data, minutes_time_to_reply: times};
  const page = await openPage({answer: (route) => route.fulfill({json: now})});
  const told = (id, pattern) => page.locator(`#${id}`, {hasText: pattern})
    .waitFor({timeout: PATIENCE_MS}).catch(() => {})
    .then(() => says(page, id));
  const over = page.locator('#times-chart .u-over');

  await summary(page, /^Working/);
  is('hour: a gap is one', await pixels(page, 'times', '--accent',
    [0.53, 0.56]), 0);
  report('hour: beside it is none', await pixels(page, 'times', '--accent',
    [0.59, 0.62]) > 20);
  is('hour: the table has the times', await columns(page),
    ['Minute', 'Pictures', 'p50', 'p99']);
  like('hour: in words, too', await says(page, 'times-words'),
    /^Half within 873\sms, .* \d\d:\d\d: 99 of 100 within 4\.\d\ss\.$/);

  await over.scrollIntoViewIfNeeded();
  await over.hover({position: {x: 60, y: 40}});
  like('hour: the mouse asks for a minute', await told('times-readout', /./),
    /^\d\d:\d\d: p50 [\d.]+\sm?s, p99 [\d.]+\sm?s$/);
  is('hour: of both charts', (await says(page, 'pictures-readout')).slice(0, 6),
    (await says(page, 'times-readout')).slice(0, 6));
  like('hour: which tell theirs', await says(page, 'pictures-readout'),
    /: \d+ pictures$/);

  const {width} = await over.boundingBox();
  await over.hover({position: {x: width - 5, y: 40}});
  await page.locator('.chart canvas').evaluateAll((all) =>
    all.forEach((canvas) => canvas.classList.add('kept')));
  now = {...now, minutes: [...now.minutes.slice(0, -1), 1000]};
  like('hour: new numbers come', await told('pictures-words', /1,000/),
    /at most 1,000/);
  is('hour: without new charts', await page.locator('.chart .kept').count(), 2);
  like('hour: under a mouse that rests', await told('pictures-readout',
    /1,000/), /: 1,000 pictures$/);
  await page.mouse.move(0, 0);
  is('hour: until it leaves', await says(page, 'times-readout')
    + await says(page, 'pictures-readout'), '');
  now = data;
  await page.locator('#times').waitFor({state: 'hidden'}).catch(() => {});
  report('hour: an older worker has one chart',
    await page.locator('#times').isHidden()
    && await page.locator('#pictures-chart canvas').isVisible());
  is('hour: and no times in its table', await columns(page),
    ['Minute', 'Pictures']);
  now = {
    ...data, minutes: data.minutes.map(() => 0),
    hour_time_to_reply: {count: 0}, minutes_time_to_reply: {
      p50_us: times.p50_us.map(() => null),
      p99_us: times.p99_us.map(() => null),
    },
  };
  is('hour: nothing is called so', [await told('times-words', /None/),
    await told('pictures-words', /None/)],
  ['None in the last hour.', 'None in the last hour.']);
  is('hour: and not drawn', await page.locator('.chart:visible, '
    + '.legend:visible, #hour-details:visible').count(), 0);
  now = {...data, minutes_time_to_reply: times};
  await told('times-words', /Half/);
  await charted('hour: it comes again', page);
  await noComplaints('hour', page);
  await page.context().close();
}

async function testStates() {
  const states = [
    ['not ready', json({ready: false, not_ready: ['disk: full'], jobs: []}),
      /^Not ready/, /disk: full/],
    ['wrong secret', json({ready: true, counters: {webhook_401: 3}}),
      /^Every webhook is refused/, /channel secret/],
    ['no member', json({}), /^Connected/, /Connected/],
    ['null', json(null), /^Connected/, /Connected/],
    ['wrong types', json({ready: 1, not_ready: 'x', minutes: {}, jobs: 'no',
      queue: 7, stages: [], counters: null, channels: [null, 3],
      failures: [{}], hour_time_to_reply: 'x', now_ms: 'y'}),
    /^Connected/, /Connected/],
    ['wrong times', json({minutes: [1, 2, 3], minutes_time_to_reply: {
      p50_us: [5, -1, 1e300, 7], p99_us: ['x', {}]}}),
    /^Connected/, /Connected/],
    ['a clock of no year, minutes without end', json({now_ms: -8.64e15,
      minutes: Array(300000).fill(1)}), /^Connected/, /Connected/],
    ['names that are none', json({jobs: [{id: 1, state: 'leased',
      stage: {toString: 1}, kind: {toString: 1}, outcome: {toString: 1}}]}),
    /^Connected/, /Connected/],
    ['no JSON', (route) => route.fulfill({body: '<html>'}),
      /^No connection/, /no JSON/],
    ['no worker', (route) => route.fulfill({status: 502}),
      /^No connection to darkroom/, /Are the workers running/],
    ['not allowed', (route) => route.fulfill({status: 403}),
      /^No connection to darkroom/, /darkroom-local.conf/],
    ['no server', (route) => route.abort(), /^No connection\./,
      /does not answer/],
  ];

  for (const [name, answer, pattern, text] of states) {
    const page = await openPage({answer});
    const errors = [];

    page.on('pageerror', (error) => errors.push(String(error)));
    like(`${name}: it says so`, await summary(page, pattern), pattern);
    like(`${name}: and why`, await page.locator('#state').innerText(), text);
    is(`${name}: no mistake in the script`, errors, []);
    await page.context().close();
  }
}

/* Text from outside stays text, a URL of another host is not followed. */
async function testHostile() {
  const script = '<img src=x onerror="window.hit = 1">';
  const page = await openPage({answer: json({
    ready: false, not_ready: [script], version: script, public_url: script,
    now_ms: 1e300, started_ms: -1e300, minutes: [1e300, -1],
    channels: [{name: script, outcomes: {replied: 1e300, dead: -1}}],
    failures: [{reason: script, text: script, count: 1}],
    jobs: [{
      id: 1, message_id: script, channel: script, kind: script, text: script,
      state: script, stage: '__proto__', outcome: 'constructor',
      received_ms: 1e300, ended_ms: 1, reason: script,
      original_url: 'javascript:window.hit=1',
      preview_url: 'https://other.invalid/x.png',
    }],
  })});

  await summary(page, /^Not ready/);
  is('hostile: it is text', await page.locator('#reasons').innerText(), script);
  is('hostile: nothing runs', await page.evaluate(() => window.hit ?? 0), 0);
  is('hostile: no link, no picture of it',
    await page.locator('#jobs :is(a, img)').count(), 0);
  await noComplaints('hostile', page);
  await page.context().close();
}

/* A full page that loses its pool, on a clock of ours. */
async function testClock() {
  const now = await fetch(`${PAGE_URL}/darkroom/status.json`);
  const data = await now.json();
  let isUp = true;
  const page = await openPage({
    clock: new Date(data.now_ms),
    answer: (route) => (isUp ? route.fulfill({json: data}) : route.abort()),
  });
  const asked = async (ms) => {
    const before = page.asked;

    for (let i = 0; i < ms / 500; i++) {
      await page.clock.runFor(500);
      await page.evaluate(() => new Promise((done) =>
        queueMicrotask(() => done())));
    }
    return page.asked - before;
  };
  const hide = (isHidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden',
      {configurable: true, get: () => value});
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);

  await summary(page, /^Working/);
  report('clock: it asks again and again', await asked(10000) >= 3);
  await hide(true);
  is('clock: it does not while nobody looks', await asked(60000), 0);
  await hide(false);
  report('clock: it does when somebody does', await asked(10000) >= 3);
  isUp = false;
  await asked(4000);
  like('clock: the connection is lost', await summary(page, /^No/), /^No conn/);
  like('clock: the numbers are of before', await says(page, 'advice'),
    /The numbers are from \d\d:\d\d:\d\d/);
  report('clock: and stay', await page.locator('#jobs li').count() > 0);
  await asked(30000);
  report('clock: it asks less and less', await asked(60000) <= 3);
  await accessible('lost', page);
  await screenshot(page, 'lost');
  isUp = true;
  await page.locator('#again').click();
  like('clock: a click tries now', await summary(page, /^Working/), /^Working/);
  await page.context().close();
}

async function testOthers() {
  const lost = await openPage({path: '/nothing'});
  let page;

  is('404: it is one', lost.complaints.filter((text) => /^404/.test(text)),
    [`404: ${PAGE_URL}/nothing`]);
  like('404: it is friendly', await lost.locator('h1').innerText(), /nothing/);
  is('404: the policy is kept',
    await lost.evaluate(() => window.violations), []);
  await accessible('404', lost);
  await screenshot(lost, '404');
  page = await openPage({javaScriptEnabled: false});
  like('no script: it says so', await page.locator('noscript').innerText(),
    /needs JavaScript/);
}

/* ---- without a pool */

async function testNoPool() {
  const page = await openPage();

  like('no pool: it says so', await summary(page, /^No/),
    /^No connection to darkroom/);
  like('no pool: and what to do', await says(page, 'advice'),
    /Are the workers running/);
  report('no pool: no numbers are shown',
    await page.locator('#numbers').isHidden());
  await accessible('no pool', page);
}

async function first() {
  const page = await testNew();

  await testPhoto(page, PHOTOS.split('\n')[0]);
  await screenshot(page, 'first');
  await noComplaints('first', page);
  return page;
}

async function live() {
  await testOtherPhotos(await first(), PHOTOS.split('\n').slice(1));
  await testLooks();
  await testKeyboard();
  await testFocus();
  await testBusy();
  await testHour();
  await testStates();
  await testHostile();
  await testClock();
  await testOthers();
}

/* The sandbox of Chromium does not start as root. */
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--disable-dev-shm-usage',
    ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
});
try {
  await {live, first, lost: testNoPool}[process.argv[2]]();
} catch (error) {
  report('page.mjs comes to its end', false, String(error.stack));
} finally {
  await browser.close();
}
