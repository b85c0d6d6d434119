/*
 * page.js: the status page. Asks status.json (lib/vitals_json.c) and shows
 * what it says.
 *
 *             ┌──────────── 2 s ────────────┐
 *             ▼                             │
 *   ask ──▶ answer ──▶ show() ──────────────┤
 *    ▲        └─ none, or a wrong one ──▶ lost(): what is shown stays, gray;
 *    │                                      │  2, 4, 8 ... 30 s
 *    └──────────────────────────────────────┘
 *
 * Nothing is asked while the page is paused or cannot be seen. A member that
 * is missing is not shown: the page works with older and newer workers. What
 * comes from outside (names of channels, reasons) becomes text nodes only, and
 * pictures are taken from this server by the name in their URL, whatever host
 * the URL names.
 */
import uPlot from './vendor/uplot/uPlot.esm.js';

const POLL_MS = 2000;
const POLL_MAX_MS = 30000;
const ANSWER_MAX_MS = 8000;
const CHART_HEIGHT_PX = 160;
const MINUTE_MS = 60000;
const MINUTES_MAX = 60;
const NBSP = '\u00a0'; /* between a number and its unit */

const el = (id) => document.getElementById(id);

/* ---- numbers and words */

const grouped = new Intl.NumberFormat('en');
const hourMinute = new Intl.DateTimeFormat('en', {
  hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
});
const timeOfDay = new Intl.DateTimeFormat('en', {
  hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});
const dayOfYear = new Intl.DateTimeFormat('en', {
  day: 'numeric', month: 'short',
});

const isNumber = (value) => Number.isFinite(value);
const number = (value) => (isNumber(value) ? value : 0);
/* From 1970 to 9999: Date holds it, and an hour more or less of it. */
const isTime = (value) => isNumber(value) && value >= 0
  && value < 253402300800000;
const words = (value) => (typeof value === 'string' ? value : '');
const list = (value) => (Array.isArray(value) ? value : []);
const object = (value) =>
  (value !== null && typeof value === 'object' ? value : {});
/* What an object of ours has by a name from outside. */
const entry = (of, name) =>
  (Object.hasOwn(of, words(name)) ? of[words(name)] : undefined);
const count = (value) => grouped.format(number(value));
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

function duration(us) {
  const s = us / 1e6;

  if (!isNumber(us)) return '–';
  if (us < 1000) return `${Math.round(us)}${NBSP}µs`;
  if (us < 10000) return `${(us / 1000).toFixed(1)}${NBSP}ms`;
  if (s < 0.9995) return `${Math.round(us / 1000)}${NBSP}ms`;
  if (s < 9.95) return `${s.toFixed(1)}${NBSP}s`;
  if (s < 90) return `${Math.round(s)}${NBSP}s`;
  if (s < 5400) return `${Math.round(s / 60)}${NBSP}min`;
  if (s < 172800) return `${Math.round(s / 3600)}${NBSP}h`;
  return `${Math.round(s / 86400)}${NBSP}days`;
}

function bytes(n) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = number(n);

  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value)
    : value.toFixed(1)}${NBSP}${units[unit]}`;
}

/* The time of day, and the day when it was another one. */
function when(ms) {
  const date = new Date(ms);
  const time = timeOfDay.format(date);

  return date.toDateString() === new Date().toDateString()
    ? time : `${dayOfYear.format(date)}, ${time}`;
}

/* ---- elements */

function make(name, properties, ...children) {
  const node = document.createElement(name);

  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/* Only what differs is written: an unchanged live region stays silent. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/* Parts are made anew only when what they are made of has changed. */
const shown = new Map();
function ifChanged(name, data, redo) {
  const key = JSON.stringify(data);

  if (shown.get(name) === key) return;
  shown.set(name, key);
  redo();
}

/* columns: [{title, isNumber}]; the first cell of a row is its header. */
function table(caption, columns, rows) {
  const cell = (column, i, value) => make(i === 0 ? 'th' : 'td', {
    className: column.isNumber ? 'number' : '', ...(i === 0 && {scope: 'row'}),
  }, value);

  return make('div', {className: 'scroll'}, make('table', {},
    make('caption', {className: 'quiet'}, caption),
    make('thead', {}, make('tr', {}, ...columns.map((column) =>
      make('th', {scope: 'col', className: column.isNumber ? 'number' : ''},
        column.title)))),
    make('tbody', {}, ...rows.map((row) => make('tr', {},
      ...row.map((value, i) => cell(columns[i], i, value)))))));
}

/* What scrolls must be reached by keyboard; what does not is in the way. */
function markScrolling() {
  for (const box of document.querySelectorAll('.scroll')) {
    const properties = {
      tabindex: 0, role: 'region',
      'aria-label': box.querySelector('caption').textContent,
    };

    for (const [name, value] of Object.entries(properties)) {
      if (box.scrollWidth > box.clientWidth) box.setAttribute(name, value);
      else box.removeAttribute(name);
    }
  }
}

function showTable(id, data, none, makeTable) {
  ifChanged(id, data, () => el(id).replaceChildren(
    data.length > 0 ? makeTable() : make('p', {className: 'quiet'}, none)));
}

/* ---- the state, in one line */

/* `state`: wait, good, bad, lost, paused: the colour of the lamp. */
function showState(state, summary, reasons = [], advice = '') {
  el('state').dataset.state = state;
  setText(el('summary'), summary);
  ifChanged('reasons', reasons, () => {
    el('reasons').replaceChildren(
      ...reasons.map((reason) => make('li', {}, reason)));
    el('reasons').hidden = reasons.length === 0;
  });
  setText(el('advice'), advice);
  el('advice').hidden = advice === '';
  el('again').hidden = state !== 'lost';
  document.body.classList.toggle('stale', state === 'lost');
  document.title = `${summary.split(/[.:,]/, 1)[0]} – darkroom`;
}

function isNew(data) {
  return object(data.counters).event_accepted === 0
    && list(data.jobs).length === 0;
}

function refusedOnly(counters) {
  return number(counters.webhook_401) > 0 && !number(counters.webhook_200);
}

function showReadiness(data) {
  const reasons = list(data.not_ready).map(words);

  if (data.ready === false) {
    showState('bad', 'Not ready: pictures are not answered as they should be.',
      reasons);
  } else if (refusedOnly(object(data.counters))) {
    showState('bad', 'Every webhook is refused: the signature is wrong.', [],
      'Is the channel secret in the settings that of this channel? It stands '
      + 'in the LINE Developers console under Basic settings.');
  } else if (data.ready === true) {
    showState('good', isNew(data) ? 'Working: ready for the first picture.'
      : 'Working: pictures are accepted and answered.');
  } else {
    showState('wait', 'Connected.');
  }
}

/* A new installation is told what to do next. */
function showWelcome(data) {
  const url = words(data.public_url);

  el('welcome').hidden = !isNew(data);
  setText(el('welcome-title'), number(object(data.counters).webhook_200) > 0
    ? 'LINE reaches darkroom; now send the bot a photo'
    : 'Nothing has arrived yet');
  setText(el('webhook'), `${url || 'PUBLIC_URL'}/webhook`);
  el('webhook-more').hidden = list(data.channels).length < 3;
}

/* ---- numbers */

/* [title, value, what more there is to say ...] of each. */
function tiles(data) {
  const queue = object(data.queue);
  const hour = object(data.hour_time_to_reply);
  const ack = object(object(data.stages).webhook_ack);
  const minutes = list(data.minutes);
  const open = number(queue.ready) + number(queue.leased);
  const p99 = (times) => `p50; p99 ${duration(times.p99_us)}`;

  return [
    minutes.length > 0 && ['Pictures',
      count(minutes.reduce((sum, n) => sum + number(n), 0)),
      'in the last hour', `${count(minutes.at(-1))} in this minute`],
    data.hour_time_to_reply && ['Time to reply', duration(hour.p50_us),
      ...(isNumber(hour.p50_us) ? [p99(hour), 'in the last hour']
        : ['none in the last hour'])],
    ack.count !== undefined && ['Time to ack', duration(ack.p50_us),
      ...(isNumber(ack.p50_us) ? [p99(ack),
        plural(number(ack.count), 'webhook', 'webhooks')] : ['none yet'])],
    data.queue && ['Queue', count(open), ...(open > 0
      ? [`${count(queue.ready)} waiting, ${count(queue.leased)} in hand`,
        `oldest for ${duration(number(queue.oldest_age_ms) * 1000)}`]
      : ['nothing waits']), number(queue.bodies) > 0
        && `${plural(queue.bodies, 'webhook', 'webhooks')} to forward`],
    isNumber(data.workers) && ['Workers', count(data.workers),
      number(data.started_ms) > 0 && isNumber(data.now_ms)
        && `up ${duration((data.now_ms - data.started_ms) * 1000)}`],
    isNumber(data.disk_free_bytes) && ['Disk',
      bytes(data.disk_free_bytes), 'free'],
  ].filter(Boolean);
}

function showTiles(data) {
  const wanted = tiles(data);

  ifChanged('tiles', wanted, () => el('tiles').replaceChildren(
    ...wanted.map(([title, value, ...more]) => make('div', {},
      make('dt', {}, title), make('dd', {className: 'value'}, value),
      ...more.filter(Boolean).map((line) =>
        make('dd', {className: 'quiet'}, line))))));
}

function showReasons(id, caption, none, reasons) {
  const rows = list(reasons).map(object)
    .map((each) => [words(each.text) || words(each.reason),
      words(each.reason), number(each.count)])
    .sort((a, b) => b[2] - a[2]);

  showTable(id, rows, none, () => table(caption,
    [{title: 'Reason'}, {title: 'Times', isNumber: true}],
    rows.map(([text, name, times]) => [
      make('span', {title: name}, text), count(times)])));
}

const STAGES = {
  webhook_ack: 'Answer to the webhook',
  queue_wait: 'Wait for a worker',
  fetch: 'Fetch from LINE',
  transcode: 'To PNG, while it is fetched',
  publish: 'Publish both files',
  reply: 'Reply or push',
  time_to_reply: 'From webhook to reply',
};

function showStages(data) {
  const stages = object(data.stages);
  const rows = Object.entries(STAGES)
    .filter(([name]) => number(object(stages[name]).count) > 0)
    .map(([name, title]) => [title, duration(stages[name].p50_us),
      duration(stages[name].p99_us), count(stages[name].count)]);

  showTable('stages', rows, 'Nothing was measured yet.', () => table(
    'All times since the first start',
    [{title: 'Stage'}, {title: 'p50', isNumber: true},
      {title: 'p99', isNumber: true}, {title: 'Times', isNumber: true}],
    rows));
}

const COUNTERS = {
  webhook_200: 'Webhooks stored and answered (200)',
  webhook_400: 'Webhooks that make no sense (400)',
  webhook_401: 'Webhooks without the right signature (401)',
  webhook_404: 'Webhooks for no channel of ours (404)',
  webhook_413: 'Webhooks that are too large (413)',
  webhook_415: 'Webhooks that are no JSON (415)',
  webhook_500: 'Webhooks that met a mistake of ours (500)',
  webhook_503: 'Webhooks turned away until later (503)',
  event_accepted: 'Pictures accepted',
  event_duplicate: 'Events that came again',
  event_unwanted: 'Events of other kinds',
  event_malformed: 'Events that make no sense',
  fetched_bytes: 'Fetched from LINE',
  published_bytes: 'Published',
  pushes: 'Pushes, which may cost quota',
  lab_deaths: 'Decoders that died',
  forward_delivered: 'Webhooks taken by the bot behind',
  forward_retry: 'Webhooks it is to get again',
  forward_dropped: 'Webhooks it never took',
  processor_answered: 'Calls of processor_url',
  processor_failed: 'Calls of processor_url that failed',
};

function showCounters(data) {
  const counters = object(data.counters);
  const rows = Object.entries(COUNTERS)
    .filter(([name]) => number(counters[name]) > 0)
    .map(([name, title]) => [title, name.endsWith('_bytes')
      ? bytes(counters[name]) : count(counters[name])]);

  showTable('webhooks', rows, 'None has come yet.', () => table(
    'Since the first start',
    [{title: 'What'}, {title: 'Count', isNumber: true}], rows));
}

/* How a job can end; `tone` is its colour. */
const OUTCOMES = {
  replied: {title: 'Replied', tone: 'good'},
  pushed: {title: 'Pushed', tone: 'good'},
  failure_text: {title: 'User told', tone: 'warn'},
  dead: {title: 'Given up', tone: 'bad'},
  withdrawn: {title: 'Withdrawn', tone: 'quiet'},
  skipped: {title: 'Skipped', tone: 'quiet'},
  removed: {title: 'Removed', tone: 'quiet'},
};

function showChannels(data) {
  const columns = Object.keys(OUTCOMES).filter((name) => name !== 'removed');
  const rows = list(data.channels).map(object)
    .map((each) => [words(each.name),
      ...columns.map((name) => number(object(each.outcomes)[name]))])
    .filter(([name, ...counts]) => name !== '(other)'
      || counts.some((n) => n > 0));

  showTable('channels', rows, 'No channel is known.', () => table(
    'How pictures ended, since the first start',
    [{title: 'Channel'}, ...columns.map((name) =>
      ({title: OUTCOMES[name].title, isNumber: true}))],
    rows.map(([name, ...counts]) => [name, ...counts.map(count)])));
}

/* ---- the last hour: two charts over one axis of time */

const NONE = 'None in the last hour.';
const DAY_US = 86400e6;

/* 1, 2, 5, 10, 20 ... µs: where an axis of times begins, ends, has lines. */
const TIME_STEPS = Array.from({length: 37}, (_, i) =>
  [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));
const TIME_LINES_MAX = 9;

/* data: minutes (s since 1970), then a row for each line; null: a gap. */
const charts = {
  pictures: {id: 'pictures', options: pictureOptions, data: [[]], plot: null,
    words: (n) => plural(n, 'picture', 'pictures')},
  times: {id: 'times', options: timeOptions, data: [[]], plot: null,
    words: (p50, p99) => (p50 === null ? 'no picture'
      : `p50 ${duration(p50)}, p99 ${duration(p99)}`)},
};

function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

function readout(chart) {
  const i = chart.plot?.cursor.idx ?? -1;
  const [minute, ...values] = chart.data.map((row) => row[i]);

  setText(el(`${chart.id}-readout`), minute === undefined ? ''
    : `${hourMinute.format(minute * 1000)}: ${chart.words(...values)}`);
}

/* The cursor stands on a minute, not between two. */
function snap(plot, left, top) {
  const minute = plot.data[0][plot.posToIdx(left)];

  return [left < 0 ? left : plot.valToPos(minute, 'x'), top];
}

/* What both have: the same width of axes, so that minute is above minute. */
function chartOptions(chart, y, yAxis, more) {
  const axis = {
    stroke: style('--quiet'), font: '12px system-ui, sans-serif',
    grid: {stroke: style('--line'), width: 1}, ticks: {show: false},
  };

  return {
    width: el(`${chart.id}-chart`).clientWidth, height: CHART_HEIGHT_PX,
    legend: {show: false},
    scales: {x: {range: (plot, min, max) => [min - 30, max + 30]}, y},
    axes: [
      {...axis, grid: {show: false}, space: 50, size: 30, gap: 7,
        values: (plot, ticks) => ticks.map((s) => hourMinute.format(s * 1000))},
      {...axis, size: 52, ...yAxis},
    ],
    hooks: {setCursor: [() => readout(chart)]},
    cursor: {
      y: false, drag: {x: false, y: false}, move: snap, sync: {key: 'hour'},
      points: {show: false},
    },
    ...more,
  };
}

function pictureOptions(chart) {
  return chartOptions(chart,
    {range: (plot, min, max) => [0, Math.max(4, max * 1.1)]},
    {
      incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      values: (plot, ticks) => ticks.map(count),
    }, {
      series: [{}, {
        fill: style('--accent'), stroke: style('--accent'), width: 0,
        points: {show: false}, paths: uPlot.paths.bars({size: [0.7, 24]}),
      }],
    });
}

function timeLines(plot, axis, min, max) {
  const lines = TIME_STEPS.filter((us) => us >= min && us <= max);

  return lines.length <= TIME_LINES_MAX ? lines
    : lines.filter((us) => Number.isInteger(Math.log10(us)));
}

/* A minute between two without pictures is on no line. */
function lonely(plot, row) {
  const values = plot.data[row];

  return [...values.keys()].filter((i) => values[i] !== null
    && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null);
}

/* On a scale of powers of ten: an hour has both 30 ms and 5 s. */
function timeOptions(chart) {
  const line = (stroke, fill, more) => ({
    stroke, points: {show: true, filter: lonely, size: 8, width: 2, fill},
    ...more,
  });
  const [p50, p99] = [style('--accent'), style('--text')];

  return chartOptions(chart, {
    distr: 3, range: (plot, min, max) => [
      TIME_STEPS.findLast((us) => us <= Math.max(1, min * 0.9)),
      TIME_STEPS.find((us) => us >= max * 1.1)],
  }, {
    splits: timeLines, filter: (plot, lines) => lines,
    values: (plot, lines) => lines.map((us) => duration(us).replace('.0', '')),
  }, {
    series: [{}, line(p50, p50, {width: 2.5}),
      line(p99, style('--sheet'), {width: 1.25, dash: [4, 3]})],
    bands: [{series: [2, 1], fill: style('--haze')}],
  });
}

function drawChart(chart) {
  const box = el(`${chart.id}-chart`);

  chart.plot?.destroy();
  chart.plot = box.clientWidth === 0 ? null
    : new uPlot(chart.options(chart), chart.data, box);
  readout(chart);
}

function fitChart(chart) {
  const width = el(`${chart.id}-chart`).clientWidth;

  if (chart.plot === null) drawChart(chart);
  else if (width > 0 && width !== chart.plot.width) {
    chart.plot.setSize({width, height: CHART_HEIGHT_PX});
  }
}

/* Nothing is drawn of nothing. */
function showChart(chart, text, ...data) {
  const isEmpty = !data.slice(1).some((row) => row.some((y) => y > 0));

  setText(el(`${chart.id}-words`), isEmpty ? NONE : text);
  for (const box of el(chart.id).children) {
    box.hidden = isEmpty && box.tagName !== 'FIGCAPTION';
  }
  chart.data = data;
  if (chart.plot === null || isEmpty) return drawChart(chart);
  chart.plot.setData(data);
  readout(chart);
}

/* Of each minute; null: unknown, or not to be drawn. */
function timesOf(row, minutes) {
  return minutes.map((_, i) => (isNumber(row[i]) && row[i] >= 1
    && row[i] <= DAY_US ? row[i] : null));
}

function pictureWords(counts) {
  const sum = counts.reduce((a, b) => a + b, 0);

  return `${plural(sum, 'picture', 'pictures')} answered, at most `
    + `${count(Math.max(...counts))} in a minute.`;
}

function timeWords(hour, minutes, p99) {
  const slowest = Math.max(...p99);
  const at = p99.indexOf(slowest);

  if (at < 0) return NONE;
  return (isNumber(hour.p50_us) ? `Half within ${duration(hour.p50_us)}, 99 of `
    + `100 within ${duration(hour.p99_us)}. ` : '')
    + `The slowest minute was ${hourMinute.format(minutes[at] * 1000)}: 99 of `
    + `100 within ${duration(slowest)}.`;
}

/* For those who cannot see the charts. */
function hourTable(minutes, counts, times) {
  const rows = counts.map((n, i) => [hourMinute.format(minutes[i] * 1000),
    count(n), ...times.map((row) => duration(row[i]))])
    .filter((_, i) => counts[i] > 0).reverse();
  const titles = ['Pictures', 'p50', 'p99'].slice(0, 1 + times.length);

  el('hour-details').hidden = rows.length === 0;
  el('hour-table').replaceChildren(
    table('Minutes that had pictures, the latest first', [{title: 'Minute'},
      ...titles.map((title) => ({title, isNumber: true}))], rows));
}

function showHour(data) {
  const {p50_us: p50, p99_us: p99} = object(data.minutes_time_to_reply);
  const hasTimes = [p50, p99].every(Array.isArray);
  const hour = object(data.hour_time_to_reply);
  const latest = (row) => list(row).slice(-MINUTES_MAX);
  const counts = latest(data.minutes).map(number);
  const nowMs = isTime(data.now_ms) ? data.now_ms : Date.now();
  const last = Math.floor(nowMs / MINUTE_MS) * 60;
  const minutes = counts.map((_, i) => last - 60 * (counts.length - 1 - i));
  const times = hasTimes
    ? [p50, p99].map((row) => timesOf(latest(row), minutes)) : [];

  ifChanged('hour', [minutes, counts, times, hour], () => {
    showChart(charts.pictures, pictureWords(counts), minutes, counts);
    el('times').hidden = !hasTimes;
    if (hasTimes) {
      showChart(charts.times, timeWords(hour, minutes, times[1]), minutes,
        ...times);
    }
    hourTable(minutes, counts, times);
  });
}

/* ---- the latest pictures */

const KINDS = {
  file: 'sent as a file', external: 'kept elsewhere', unsend: 'taken back',
};
const IN_HAND = {
  fetch: 'Fetching', reply: 'Replying', push: 'Pushing', failure: 'Telling',
};

function verdict(job) {
  const stage = entry(IN_HAND, job.stage);
  const outcome = entry(OUTCOMES, job.outcome);

  if (outcome) return outcome;
  if (job.state === 'leased' && stage) return {title: stage, tone: 'busy'};
  return {title: number(job.attempts) > 0 ? 'Waiting to retry' : 'Waiting',
    tone: 'busy'};
}

/* The name that darkroom gave the file, on this server; null: none. */
function pictureUrl(url) {
  const found = words(url)
    .match(/\/static\/([a-z2-7]{2}\/[a-z2-7]{30}(?:\.p)?\.png)$/);

  return found && `../static/${found[1]}`;
}

function time(ms) {
  return make('time', {dateTime: new Date(ms).toISOString()}, when(ms));
}

/* [title, value] of each line of the receipt. */
function receipt(job) {
  const took = job.ended_ms - job.received_ms;
  const reason = words(job.text) || words(job.reason);
  const kind = entry(KINDS, job.kind);

  return [
    isNumber(took) && took >= 0 && ['Took', duration(took * 1000)],
    isTime(job.received_ms) && ['Came', time(job.received_ms)],
    ['Channel', words(job.channel)],
    kind && ['Kind', kind],
    number(job.attempts) > 1 && ['Tries', count(job.attempts)],
    reason && ['Why', reason],
    ['Id', make('code', {}, words(job.message_id))],
  ].filter((line) => line && line[1]);
}

function thumbnail(job) {
  const preview = pictureUrl(job.preview_url);
  const original = pictureUrl(job.original_url) ?? preview;

  if (!preview) {
    return make('div', {className: 'thumb none', 'aria-hidden': 'true'},
      isNumber(job.ended_ms) ? 'no picture' : '…');
  }
  return make('a', {
    className: 'thumb', href: original, target: '_blank', rel: 'noreferrer',
    'aria-label': `Picture ${words(job.message_id)}, full size`,
  }, make('img', {
    src: preview, alt: '', loading: 'lazy', decoding: 'async',
  }));
}

/* A card keeps its element, so that neither focus nor picture is lost. */
const cards = new Map();

function newCard() {
  const card = {
    title: make('h3', {}), receipt: make('dl', {}), thumb: make('div', {}),
    url: null,
  };

  card.node = make('li', {}, card.thumb,
    make('div', {className: 'receipt'}, card.title, card.receipt));
  return card;
}

function fillCard(card, job) {
  const {title, tone} = verdict(job);
  const url = `${words(job.preview_url)} ${isNumber(job.ended_ms)}`;

  if (card.url !== url) {
    const thumb = thumbnail(job);

    card.thumb.replaceWith(thumb);
    card.thumb = thumb;
    card.url = url;
  }
  card.node.dataset.tone = tone;
  card.node.dataset.message = words(job.message_id);
  setText(card.title, title);
  card.receipt.replaceChildren(...receipt(job).map(([name, value]) =>
    make('div', {}, make('dt', {}, name), make('dd', {}, value))));
}

function showJobs(data) {
  const jobs = list(data.jobs).map(object).filter((job) => isNumber(job.id));
  const ids = new Set(jobs.map((job) => job.id));
  let place;

  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.node.remove();
    cards.delete(id);
    shown.delete(`job ${id}`);
  }
  place = el('jobs').firstElementChild;
  for (const job of jobs) {
    const card = cards.get(job.id) ?? newCard();

    cards.set(job.id, card);
    ifChanged(`job ${job.id}`, job, () => fillCard(card, job));
    if (card.node === place) place = place.nextElementSibling;
    else el('jobs').insertBefore(card.node, place);
  }
  el('jobs-none').hidden = jobs.length > 0;
}

/* ---- all of it */

let lastMs = 0; /* of the answer that is shown; 0: none is */

function show(data) {
  lastMs = Date.now();
  el('numbers').hidden = false;
  showReadiness(data);
  showWelcome(data);
  showTiles(data);
  showHour(data);
  showJobs(data);
  showReasons('failures', 'Why pictures were not answered, since the first '
    + 'start', 'None since the first start.', data.failures);
  showReasons('retries', 'Why something was done again, since the first start',
    'None since the first start.', data.retries);
  showStages(data);
  showCounters(data);
  showChannels(data);
  setText(el('version'), words(data.version));
  setText(el('since'), `Updated ${when(lastMs)}.`);
  markScrolling();
}

/* ---- asking */

let timer = 0;
let tries = 0; /* in vain, in a row */
let asking = null; /* AbortController of the request on its way */
let isPaused = false;

const ADVICE = {
  401: 'The password is asked for when you reload the page.',
  403: 'nginx lets only some addresses see this page: darkroom-local.conf '
    + 'says which.',
  404: 'This nginx does not know /darkroom/status.json, or the worker is of '
    + 'an older version.',
  502: 'nginx answers, darkroom does not. Are the workers running? Their log '
    + 'says why they ended.',
  504: 'nginx answers, darkroom takes too long.',
};

function ageOfNumbers() {
  return lastMs > 0 ? `The numbers are from ${when(lastMs)}.` : '';
}

function lost(error) {
  const wait = Math.min(POLL_MAX_MS, POLL_MS * 2 ** tries);
  const status = error.status;
  const advice = status ? ADVICE[status] ?? `The answer was ${status}.`
    : error instanceof SyntaxError
      ? 'An answer came that is no JSON. Is something between here and nginx?'
      : 'The web server does not answer.';

  tries++;
  showState('lost', status ? 'No connection to darkroom.' : 'No connection.',
    [], `${advice} ${ageOfNumbers()} `
      + `Next try in ${Math.round(wait / 1000)} s.`);
  return wait;
}

async function fetchStatus(signal) {
  const answer = await fetch('status.json', {cache: 'no-store', signal});

  if (!answer.ok) {
    throw Object.assign(new Error('refused'), {status: answer.status});
  }
  return object(JSON.parse(await answer.text()));
}

function stop() {
  clearTimeout(timer);
  asking?.abort();
  asking = null;
}

async function ask() {
  const mine = new AbortController();
  const deadline = setTimeout(() => mine.abort(), ANSWER_MAX_MS);
  let data = null;
  let failure = null;

  stop();
  asking = mine;
  try {
    data = await fetchStatus(mine.signal);
  } catch (error) {
    failure = error;
  }
  clearTimeout(deadline);
  if (asking !== mine) return; /* stopped, or asked again, meanwhile */
  asking = null;
  if (failure !== null) {
    timer = setTimeout(ask, lost(failure));
    return;
  }
  timer = setTimeout(ask, POLL_MS);
  tries = 0;
  show(data);
}

function goOn() {
  stop();
  if (isPaused || document.hidden) return;
  tries = 0;
  ask();
}

function togglePause() {
  isPaused = !isPaused;
  el('pause').setAttribute('aria-pressed', String(isPaused));
  if (isPaused) {
    showState('paused', 'Paused.', [], ageOfNumbers());
  }
  goOn();
}

el('pause').addEventListener('click', togglePause);
el('again').addEventListener('click', goOn);
document.addEventListener('visibilitychange', goOn);
window.addEventListener('online', goOn);
matchMedia('(prefers-color-scheme: dark)')
  .addEventListener('change', () => Object.values(charts).forEach(drawChart));
new ResizeObserver(() => {
  Object.values(charts).forEach(fitChart);
  markScrolling();
}).observe(el('main'));
goOn();
