// Line charts as SVG. A chart is { title, series: [{ name, label }], format }.

const svg = (name, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const key in attributes) element.setAttribute(key, attributes[key])
  return element
}

const element = (name, className, text) => {
  const e = document.createElement(name)
  if (className) e.className = className
  if (text !== undefined) e.textContent = text
  return e
}

const width = 600
const height = 130

export class Chart {
  constructor(chart) {
    this.chart = chart
    this.figure = element('figure')
    this.caption = element('figcaption')
    this.caption.append(element('strong', '', chart.title))
    this.values = chart.series.map((s, i) => {
      const key = element('span', `key${i}`)
      this.caption.append(key)
      return key
    })
    this.plot = element('div', 'plot')
    this.top = element('span', 'top')
    this.svg = svg('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img' })
    this.cursor = svg('path', { class: 'cursor' })
    this.lines = chart.series.map((_, i) => svg('path', { class: `line${i}` }))
    this.svg.append(svg('path', { class: 'grid', d: `M0 0H${width}M0 ${height / 2}H${width}` }), this.cursor, ...this.lines)
    this.plot.append(this.top, this.svg)
    this.axis = element('div', 'axis')
    this.from = element('span')
    this.at = element('span')
    this.to = element('span')
    this.axis.append(this.from, this.at, this.to)
    this.figure.append(this.caption, this.plot, this.axis)
    this.svg.addEventListener('pointermove', (event) => this.point(event))
    this.svg.addEventListener('pointerleave', () => this.rest())
  }

  // draw shows the values of the series, null where nothing is known, at times in
  // seconds.
  draw(times, series) {
    this.times = times
    this.data = this.chart.series.map(({ name }) => series[name] ?? [])
    const known = this.data.flat().filter((v) => v !== null && v !== undefined)
    this.max = ceiling(Math.max(0, ...known))
    const first = times[0]
    const last = times[times.length - 1]
    this.x = (t) => (last === first ? width : ((t - first) / (last - first)) * width)
    const y = (v) => height - (Math.max(0, v) / this.max) * height
    this.data.forEach((values, i) => {
      let path = ''
      let pen = 'M'
      values.forEach((v, j) => {
        if (v === null || v === undefined) return void (pen = 'M')
        path += `${pen}${this.x(times[j]).toFixed(1)} ${y(v).toFixed(1)}`
        pen = 'L'
      })
      this.lines[i].setAttribute('d', path)
    })
    this.top.textContent = known.length ? this.chart.format(this.max) : ''
    this.from.textContent = known.length ? moment(first, last - first) : 'nothing is known of this time'
    this.to.textContent = known.length ? moment(last, last - first) : ''
    this.rest()
    this.svg.setAttribute('aria-label', this.summary(known))
  }

  summary(known) {
    if (!known.length) return `${this.chart.title}: nothing is known`
    return `${this.chart.title}: ` + this.chart.series.map(({ label }, i) => {
      const values = this.data[i].filter((v) => v !== null && v !== undefined)
      if (!values.length) return `${label} not known`
      const f = this.chart.format
      return `${label} ${f(values[values.length - 1])}, lowest ${f(Math.min(...values))}, highest ${f(Math.max(...values))}`
    }).join('; ')
  }

  show(index) {
    this.chart.series.forEach(({ label }, i) => {
      const v = this.data[i][index]
      this.values[i].textContent = `${label} ${v === null || v === undefined ? '-' : this.chart.format(v)}`
    })
  }

  rest() {
    this.cursor.setAttribute('d', '')
    this.at.textContent = ''
    if (this.times) this.show(this.times.length - 1)
  }

  point(event) {
    if (!this.times?.length) return
    const box = this.svg.getBoundingClientRect()
    const x = ((event.clientX - box.left) / box.width) * width
    let best = 0
    this.times.forEach((t, i) => {
      if (Math.abs(this.x(t) - x) < Math.abs(this.x(this.times[best]) - x)) best = i
    })
    this.cursor.setAttribute('d', `M${this.x(this.times[best])} 0V${height}`)
    this.at.textContent = moment(this.times[best], this.times[this.times.length - 1] - this.times[0])
    this.show(best)
  }
}

// ceiling is a round number with some room above a value.
function ceiling(value) {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value * 1.02))
  return power * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((n) => n * power >= value * 1.02)
}

function moment(seconds, span) {
  const date = new Date(seconds * 1000)
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: span < 3600 ? '2-digit' : undefined })
  return span < 90000 ? time : `${date.toLocaleDateString([], { day: 'numeric', month: 'short' })} ${time}`
}
