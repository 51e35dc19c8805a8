// The dashboard: figures come by EventSource, the rest is asked for.
import { Chart } from './chart.js'

const base = 'reverb/'
const $ = (id) => document.getElementById(id)

const count = (n) => Math.round(n).toLocaleString('en')
const rate = (n) => (n >= 100 ? count(n) : n.toLocaleString('en', { maximumFractionDigits: 1 }))
// As resound status writes them.
const bytes = (n) => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  for (; n >= 999.5 && i < units.length - 1; i++) n /= 1000
  return `${n.toLocaleString('en', { maximumSignificantDigits: 3 })} ${units[i]}`
}
const percent = (n) => `${n.toLocaleString('en', { maximumFractionDigits: 1 })} %`
const milliseconds = (s) => `${(1000 * s).toLocaleString('en', { maximumFractionDigits: 0 })} ms`
const duration = (s) => {
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min` : `${Math.floor(s)} s`
}

// table replaces the rows of a table. A cell is a text, a number or an element.
function table(id, titles, rows, empty) {
  const right = titles.map((t) => t.startsWith('>'))
  const head = document.createElement('tr')
  titles.forEach((t, i) => {
    const th = document.createElement('th')
    th.scope = 'col'
    th.textContent = right[i] ? t.slice(1) : t
    if (right[i]) th.className = 'right'
    head.append(th)
  })
  const body = rows.map((row) => {
    const tr = document.createElement('tr')
    if (row.className) tr.className = row.className
    const cells = row.cells ?? row
    cells.forEach((cell, i) => {
      const td = document.createElement('td')
      td.append(cell)
      if (typeof cell === 'string' && i === 0) td.title = cell
      if (right[i]) td.className = 'right'
      tr.append(td)
    })
    return tr
  })
  if (!rows.length) {
    const tr = document.createElement('tr')
    const td = document.createElement('td')
    td.colSpan = titles.length
    td.textContent = empty
    tr.append(td)
    body.push(tr)
  }
  const focused = document.activeElement?.dataset?.key
  const thead = document.createElement('thead')
  const tbody = document.createElement('tbody')
  thead.append(head)
  tbody.append(...body)
  $(id).replaceChildren(thead, tbody)
  if (focused) $(id).querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus()
}

function button(text, key, action) {
  const b = document.createElement('button')
  b.type = 'button'
  b.className = 'plain'
  b.textContent = text
  b.dataset.key = key
  b.addEventListener('click', action)
  return b
}

function note(id, text, bad) {
  $(id).textContent = text
  $(id).classList.toggle('bad', Boolean(bad))
}

async function ask(path, options) {
  const response = await fetch(base + path, options)
  if (response.status === 401) location.reload()
  if (response.status === 204) return null
  const answer = await response.json().catch(() => ({ error: `the server answers ${response.status}` }))
  if (!response.ok) throw new Error(answer.error)
  return answer
}

let token = ''
const write = (path, body) =>
  ask(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': token },
    body: JSON.stringify(body ?? {}),
  })

// Figures.

let before // the frame before, for rates of apps
const liveFrames = 150
const live = { times: [], series: {} }

function show(frame) {
  const s = frame.snapshot
  const r = s.rates
  $('node').textContent = `${frame.nodes?.[0]?.figures.address ?? s.address}, version ${s.version}, up ${duration(s.uptime_seconds)}`
  $('state').textContent = s.state
  $('state').className = s.state === 'running' ? 'good' : 'bad'
  tiles([
    ['Connections', count(s.connections.open), s.connections.limit ? `of ${count(s.connections.limit)}` : ''],
    ['Channels', count(s.channels), ''],
    ['Messages in', rate(r.messages_received), '/s'],
    ['Messages out', rate(r.messages_sent), '/s'],
    ['HTTP requests', rate(r.http_requests_answered), '/s'],
    ['Errors', rate(r.errors), '/s'],
    ['CPU', percent(r.cpu_percent), ''],
    ['Memory', bytes(s.process.memory_bytes), s.process.memory_limit_bytes ? `of ${bytes(s.process.memory_limit_bytes)}` : ''],
  ])
  const nodes = peers(frame)
  choices(s.apps.map((a) => a.id))
  scopes(s.apps.map((a) => a.id), nodes)
  remember(frame, nodes)
  tables(frame)
  nodeTable(frame, nodes)
  alarms(frame.alerts ?? [])
  before = frame
}

// peers returns the nodes of the cluster, or the one there is, each with a key, a
// name, and its figures if they are known.
function peers({ snapshot: s, nodes }) {
  const own = {
    address: s.address, pid: s.pid, version: s.version, state: s.state, uptime_seconds: s.uptime_seconds, connections: s.connections.open,
    messages_received: s.rates.messages_received, messages_sent: s.rates.messages_sent, cpu_percent: s.rates.cpu_percent,
    memory_bytes: s.process.memory_bytes, lag_seconds: Math.max(0, ...(s.reactors ?? []).map((r) => r.lag_seconds)),
  }
  const all = nodes ?? [{ self: true, figures: own }]
  const named = (n) => all.filter((x) => x.figures?.address === n.figures.address).length > 1 ? `${n.figures.address}, pid ${n.figures.pid}` : n.figures.address
  return all.map((n) => ({
    key: n.self ? '@self' : `@${n.id}`, self: n.self, figures: n.figures,
    name: (n.figures ? named(n) : n.id) + (n.self && all.length > 1 ? ' (this one)' : ''),
  }))
}

const peerFields = ['connections', 'messages_received', 'messages_sent', 'cpu_percent', 'memory_bytes']
const total = (nodes, field) => nodes.reduce((sum, n) => sum + (n.figures?.[field] ?? 0), 0)

function nodeTable({ snapshot: s }, nodes) {
  const mixed = nodes.some((n) => n.figures && n.figures.version !== s.version)
  const figures = (f) => [count(f.connections), rate(f.messages_received), rate(f.messages_sent), percent(f.cpu_percent), bytes(f.memory_bytes)]
  const dashes = (n) => Array(n).fill('-')
  const rows = nodes.map(({ key, name, self, figures: f }) => f
    ? [self ? name : button(name, `node ${key}`, () => chart(`node/${key}`)), f.state, duration(f.uptime_seconds), ...figures(f), milliseconds(f.lag_seconds), f.version]
    : [name, 'not known', ...dashes(7), '-'])
  if (nodes.length > 1) {
    const sum = Object.fromEntries(peerFields.map((field) => [field, total(nodes, field)]))
    rows.push({ className: 'sum', cells: [button(`all ${nodes.length}`, 'node all', () => chart('cluster')), '', '', ...figures(sum), '', ''] })
  }
  const unlisted = (s.cluster?.nodes ?? 0) - nodes.length
  if (unlisted > 0) rows.push([`and ${count(unlisted)} more`, ...dashes(9)])
  if (s.redis === 'degraded') rows.push({ className: 'firing', cells: ['the others', 'out of reach', ...dashes(8)] })
  const columns = mixed ? 10 : 9
  table('nodes', ['Node', 'State', '>Up', '>Connections', '>In /s', '>Out /s', '>CPU', '>Memory', '>Lag', 'Version'].slice(0, columns),
    rows.map((row) => row.cells ? { ...row, cells: row.cells.slice(0, columns) } : row.slice(0, columns)), 'none')
}

function tiles(all) {
  const list = $('tiles')
  if (list.children.length !== all.length) {
    list.replaceChildren(...all.map(([name]) => {
      const div = document.createElement('div')
      const dt = document.createElement('dt')
      dt.textContent = name
      div.append(dt, document.createElement('dd'))
      return div
    }))
  }
  all.forEach(([, value, more], i) => {
    const small = document.createElement('small')
    small.textContent = more
    if (more.startsWith('of ')) small.className = 'below'
    list.children[i].lastElementChild.replaceChildren(value, ' ', small)
  })
}

function appRate(app, field, frame) {
  const was = before?.snapshot.apps.find((a) => a.id === app.id)
  const seconds = before ? (frame.at - before.at) / 1000 : 0
  return was && seconds > 0 ? Math.max(0, app[field] - was[field]) / seconds : 0
}

function tables(frame) {
  const s = frame.snapshot
  table('apps', ['App', '>Connections', '>Channels', '>Subscriptions', '>In /s', '>Out /s', '>Triggered'], [...s.apps.map((a) => [
    button(a.id, `app ${a.id}`, () => chart(`app/${a.id}`)),
    count(a.connections), count(a.channels), count(a.subscriptions),
    rate(appRate(a, 'messages_received', frame)), rate(appRate(a, 'messages_sent', frame)), count(a.events_triggered),
  ]), ...(frame.apps > s.apps.length ? [[`and ${count(frame.apps - s.apps.length)} more`]] : [])], 'no apps')
  table('largest', ['Channel', 'App', '>Subscriptions', '>Users'],
    (frame.largest ?? []).map((c) => [c.channel, c.app, count(c.subscriptions), c.users ? count(c.users) : '-']),
    frame.unranked ? 'too many channels to rank' : 'no channel is occupied')
  table('busiest', ['Channel', 'App', '>Events /s'],
    (frame.busiest ?? []).map((c) => [c.channel, c.app, rate(c.rate)]), 'no event in the last seconds')
  table('closes', ['Code', 'Reason', '>Count'], (s.closes ?? []).slice(0, 20).map((c) => [String(c.code), c.reason, count(c.count)]), 'none yet')
  table('errors', ['Code', 'What', '>Count'], [
    ...(s.errors ?? []).map((e) => [String(e.code), 'told to a connection', count(e.count)]),
    ...(s.refusals ?? []).map((e) => [String(e.code), 'connection refused', count(e.count)]),
    ...[4, 5].filter((c) => s.http.responses[c]).map((c) => [`${c}xx`, 'HTTP', count(s.http.responses[c])]),
  ], 'none yet')
  table('custom', ['Name', 'App', 'Type', '>Value'], (s.custom ?? []).map((c) => [c.name, c.app, c.kind, c.value.toLocaleString('en')]),
    'none; POST {path}/apps/{id}/metrics takes them')
  table('alerts', ['Alert', 'State', 'Metric', '>Value', '>Threshold'], (frame.alerts ?? []).map((a) => ({
    className: a.active ? 'firing' : '',
    cells: [a.name, a.active ? 'firing' : 'fine', a.metric, a.value === null ? '-' : rate(a.value), `${a.below ? 'below' : 'above'} ${rate(a.threshold)}`],
  })), 'none are configured (monitoring.alerts)')
  drawCustom(s.custom ?? [])
}

let alarmed = ''
function alarms(all) {
  const active = all.filter((a) => a.active)
  const text = active.map((a) => a.name).join('\n')
  if (text === alarmed) return
  alarmed = text
  $('alarms').replaceChildren(...active.map((a) => {
    const p = document.createElement('p')
    p.textContent = `${a.name}: ${a.metric} is ${a.below ? 'below' : 'above'} ${rate(a.threshold)}`
    return p
  }))
}

let known = ''
function choices(ids) {
  if (ids.join('\n') === known) return
  known = ids.join('\n')
  for (const select of document.querySelectorAll('select.apps')) {
    const chosen = select.value
    const first = [...select.options].filter((o) => o.value === '')
    select.replaceChildren(...first, ...ids.map((id) => new Option(id, id)))
    select.value = chosen || first.length ? chosen : ids[0]
    if (select.selectedIndex < 0) select.selectedIndex = 0
  }
}

// scopes offers what charts may be of.
let scoped = ''
function scopes(apps, nodes) {
  const others = nodes.filter((n) => !n.self)
  const now = JSON.stringify([apps, others.map((n) => [n.key, n.name])])
  if (now === scoped) return
  scoped = now
  const group = (label, options) => {
    const g = document.createElement('optgroup')
    g.label = label
    g.append(...options.map(([value, text]) => new Option(text, value)))
    return options.length ? [g] : []
  }
  const chosen = $('scope').value
  $('scope').replaceChildren(
    new Option('this node', ''),
    ...(others.length ? [new Option(`all ${nodes.length} nodes`, 'cluster')] : []),
    ...group('App on this node', apps.map((id) => [`app/${id}`, id])),
    ...group('Other node', others.map((n) => [`node/${n.key}`, n.name])),
  )
  $('scope').value = chosen
  if ($('scope').selectedIndex < 0) chart('')
}

function chart(scope) {
  $('scope').value = scope
  redraw()
}

// Charts.

const nodeCharts = [
  { title: 'Connections', format: count, series: [{ name: 'connections', label: 'open' }] },
  { title: 'Messages a second', format: rate, series: [{ name: 'messages_received', label: 'in' }, { name: 'messages_sent', label: 'out' }] },
  { title: 'Channels', format: count, series: [{ name: 'channels', label: 'occupied' }] },
  { title: 'Errors a second', format: rate, series: [{ name: 'errors', label: 'told to clients' }, { name: 'http_errors', label: 'HTTP 4xx, 5xx' }] },
  { title: 'CPU', format: percent, series: [{ name: 'cpu_percent', label: 'of a core' }] },
  { title: 'Memory', format: bytes, series: [{ name: 'memory_bytes', label: 'resident' }] },
]
const appCharts = [
  { title: 'Connections', format: count, series: [{ name: 'connections', label: 'open' }] },
  { title: 'Messages a second', format: rate, series: [{ name: 'messages_received', label: 'in' }, { name: 'messages_sent', label: 'out' }] },
  { title: 'Channels', format: count, series: [{ name: 'channels', label: 'occupied' }] },
  { title: 'Events triggered a second', format: rate, series: [{ name: 'events_triggered', label: 'by the application' }] },
]

const peerCharts = [
  { title: 'Connections', format: count, series: [{ name: 'connections', label: 'open' }] },
  { title: 'Messages a second', format: rate, series: [{ name: 'messages_received', label: 'in' }, { name: 'messages_sent', label: 'out' }] },
  { title: 'CPU', format: percent, series: [{ name: 'cpu_percent', label: 'of a core' }] },
  { title: 'Memory', format: bytes, series: [{ name: 'memory_bytes', label: 'resident' }] },
]

let charts = []
let customs = ''

function drawCustom(all) {
  const names = all.map((c) => `${c.app}/custom/${c.name}`).slice(0, 12)
  if (names.join('\n') === customs) return
  customs = names.join('\n')
  redraw()
}

// layout returns the charts of what is shown, with full names of series.
function layout() {
  const [kind, ...rest] = $('scope').value.split('/')
  const of = rest.join('/')
  const prefix = { app: `${of}/`, node: `${of}/`, cluster: '@all/' }[kind] ?? ''
  const fixed = ({ app: appCharts, node: peerCharts, cluster: peerCharts }[kind] ?? nodeCharts).map((c) => ({ ...c, series: c.series.map((s) => ({ ...s, name: prefix + s.name })) }))
  const own = customs.split('\n').filter((name) => name && name.startsWith(prefix)).map((name) => ({
    title: name.split('/custom/')[1], format: (n) => n.toLocaleString('en', { maximumFractionDigits: 2 }), series: [{ name, label: `app ${name.split('/')[0]}` }],
  }))
  return [...fixed, ...own]
}

let shown = ''
function redraw() {
  const all = layout()
  const wanted = JSON.stringify(all)
  if (wanted !== shown) {
    shown = wanted
    charts = all.map((c) => new Chart(c))
    $('charts').replaceChildren(...charts.map((c) => c.figure))
  }
  const seconds = Number($('range').value)
  const elsewhere = /^(node|cluster)/.test($('scope').value)
  if (!seconds || elsewhere) {
    note('charts-note', seconds ? 'each node keeps the history of its own figures: these are the last minutes since this page was opened' : '')
    return charts.forEach((c) => c.draw(live.times, live.series))
  }
  load(seconds)
}

// The history is asked for again when a chart of it may have changed visibly: a month
// of it costs the server much more than the last hour.
let asked = 0
let stale = 0 // when the charts are to be loaded again, by performance.now
async function load(seconds) {
  const mine = ++asked
  stale = performance.now() + 10000
  const query = new URLSearchParams({ seconds })
  for (const c of charts) for (const s of c.chart.series) query.append('series', s.name)
  try {
    const answer = await ask(`history?${query}`)
    if (mine !== asked) return
    stale = performance.now() + Math.max(10, answer.step_seconds / 10) * 1000
    note('charts-note', '')
    charts.forEach((c) => c.draw(answer.times, answer.series))
  } catch (error) {
    if (mine === asked) note('charts-note', error.message, true)
  }
}

// remember keeps the figures of the last minutes under the names that the history
// gives them.
function remember(frame, nodes) {
  const s = frame.snapshot
  const now = {
    connections: s.connections.open, channels: s.channels, memory_bytes: s.process.memory_bytes,
    messages_received: s.rates.messages_received, messages_sent: s.rates.messages_sent,
    errors: s.rates.errors, cpu_percent: s.rates.cpu_percent,
    http_errors: before ? Math.max(0, httpErrors(s) - httpErrors(before.snapshot)) / Math.max(1e-3, (frame.at - before.at) / 1000) : null,
  }
  for (const a of s.apps) {
    now[`${a.id}/connections`] = a.connections
    now[`${a.id}/channels`] = a.channels
    for (const field of ['messages_received', 'messages_sent', 'events_triggered']) now[`${a.id}/${field}`] = appRate(a, field, frame)
  }
  for (const field of peerFields) {
    for (const n of nodes) if (n.figures) now[`${n.key}/${field}`] = n.figures[field]
    if (nodes.length > 1) now[`@all/${field}`] = total(nodes, field)
  }
  for (const c of s.custom ?? []) now[`${c.app}/custom/${c.name}`] = c.value
  live.times.push(frame.at / 1000)
  const length = live.times.length
  for (const name of new Set([...Object.keys(now), ...Object.keys(live.series)])) {
    const values = (live.series[name] ??= Array(length - 1).fill(null))
    values.push(now[name] ?? null)
    if (values.length > liveFrames) values.shift()
    if (values.every((v) => v === null)) delete live.series[name]
  }
  if (live.times.length > liveFrames) live.times.shift()
  if ($('range').value === '0' || /^(node|cluster)/.test($('scope').value)) redraw()
}

const httpErrors = (s) => s.http.responses[4] + s.http.responses[5]

$('range').addEventListener('change', redraw)
$('scope').addEventListener('change', redraw)
setInterval(() => { if ($('range').value !== '0' && performance.now() >= stale) redraw() }, 5000)

// Channels.

$('inspector').addEventListener('submit', async (event) => {
  event.preventDefault()
  note('members', '')
  try {
    const answer = await ask(`channels?${new URLSearchParams(new FormData(event.target))}`)
    note('inspected-note', answer.total > answer.channels.length ? `the first ${answer.channels.length} of ${count(answer.total)}` : `${count(answer.total)} ${answer.total === 1 ? 'channel' : 'channels'}`)
    table('inspected', ['Channel', 'App', '>Subscriptions', '>Users', ''], answer.channels.map((c) => [
      c.channel, c.app, count(c.subscriptions), c.users ? count(c.users) : '-',
      c.channel.startsWith('presence-') ? button('who', `who ${c.app} ${c.channel}`, () => members(c)) : '',
    ]), 'none')
  } catch (error) {
    note('inspected-note', error.message, true)
  }
})

async function members({ app, channel }) {
  try {
    const answer = await ask(`users?${new URLSearchParams({ app, channel })}`)
    note('members', `${channel} has ${count(answer.total)} users: ${answer.users.join(', ')}${answer.total > answer.users.length ? ', ...' : ''}`)
  } catch (error) {
    note('members', error.message, true)
  }
}

// Sending.

$('send').addEventListener('submit', async (event) => {
  event.preventDefault()
  const form = Object.fromEntries(new FormData(event.target))
  try {
    await write('events', form)
    note('sent', `Sent ${form.event} to ${form.channel} at ${new Date().toLocaleTimeString()}.`)
  } catch (error) {
    note('sent', error.message, true)
  }
})

// Tail.

const shownEvents = 100
let tail
$('tail').addEventListener('submit', (event) => {
  event.preventDefault()
  const button = event.target.querySelector('button')
  if (tail) {
    tail.close()
    tail = undefined
  } else {
    tail = new EventSource(`${base}tail?${new URLSearchParams(new FormData(event.target))}`)
    tail.onopen = () => note('tail-note', 'watching')
    tail.onmessage = ({ data }) => passed(JSON.parse(data))
    tail.onerror = () => note('tail-note', 'the connection is lost; trying again', true)
  }
  button.setAttribute('aria-pressed', String(Boolean(tail)))
  button.textContent = tail ? 'Stop' : 'Watch'
  note('tail-note', tail ? 'connecting' : '')
})

function passed(e) {
  const li = document.createElement('li')
  if (e.dropped) {
    li.textContent = `${count(e.dropped)} events were left out: they come faster than this page takes them`
  } else {
    const name = document.createElement('b')
    name.textContent = e.event ?? ''
    const data = typeof e.data === 'string' ? e.data : JSON.stringify(e.data)
    li.append(`${new Date(e.time).toLocaleTimeString()} ${e.channel} `, name, ` ${(data ?? '').slice(0, 500)} (${e.source === 'client' ? 'a client' : 'the application'})`)
  }
  $('events').prepend(li)
  while ($('events').children.length > shownEvents) $('events').lastElementChild.remove()
}

// Begin.

$('logout').addEventListener('click', async () => {
  await write('logout')
  location.reload()
})

const session = await ask('session')
token = session.token
$('logout').hidden = session.open
redraw()
const figures = new EventSource(`${base}live`)
figures.onmessage = ({ data }) => show(JSON.parse(data))
figures.onerror = () => {
  $('state').textContent = 'the connection is lost'
  $('state').className = 'bad'
  if (figures.readyState === EventSource.CLOSED) {
    // The server refused: the session may have ended.
    setTimeout(() => location.reload(), 5000)
  }
}
