// Drives Chromium: opens pages and waits for what they show.
import axe from 'axe-core'
import { chromium } from 'playwright-core'
import { emit, serve } from './lines.mjs'

let context

export const operations = {
  async launch({ executable, profile }) {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: executable,
      headless: true,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    })
  },

  async open({ client, url }) {
    const page = await context.newPage()
    page.on('console', (message) => emit({ client, name: 'console', value: message.text() }))
    page.on('pageerror', (error) => emit({ client, name: 'page_error', value: String(error) }))
    pages.set(client, page)
    await page.goto(url)
  },

  // text waits until an element shows up and returns its text.
  async text({ client, selector, timeout }) {
    return pages.get(client).locator(selector).first().textContent({ timeout })
  },

  async count({ client, selector }) {
    return pages.get(client).locator(selector).count()
  },

  async click({ client, selector, timeout }) {
    await pages.get(client).locator(selector).click({ timeout })
  },

  async fill({ client, selector, value, timeout }) {
    await pages.get(client).locator(selector).fill(value, { timeout })
  },

  async choose({ client, selector, value, timeout }) {
    await pages.get(client).locator(selector).selectOption(value, { timeout })
  },

  // attached waits until an element is there, seen or not.
  async attached({ client, selector, timeout }) {
    await pages.get(client).locator(selector).first().waitFor({ state: 'attached', timeout })
  },

  // photograph writes an image of the page, as a screen of this size and a
  // user who likes it light or dark would see it, and tells what is too wide.
  async photograph({ client, path, width, height, scheme }) {
    const page = pages.get(client)
    await page.emulateMedia({ colorScheme: scheme })
    await page.setViewportSize({ width, height })
    await page.evaluate(() => scrollTo(0, 0))
    await page.screenshot({ path })
    return page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  },

  // inaccessible returns what axe-core takes for serious or worse on the page, a
  // line each.
  async inaccessible({ client, scheme }) {
    const page = pages.get(client)
    await page.emulateMedia({ colorScheme: scheme })
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate(() => axe.run())
    return violations
      .filter((v) => v.impact === 'serious' || v.impact === 'critical')
      .map((v) => `${v.id} (${v.impact}): ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 200)).join(' | ')}`)
  },

  // press types keys one after the other and returns what has the focus after each:
  // the id of the element, or its tag and what it is called.
  async press({ client, keys }) {
    const page = pages.get(client)
    const focused = []
    for (const key of keys) {
      await page.keyboard.press(key)
      focused.push(await page.evaluate(() => {
        const e = document.activeElement
        return e.id || `${e.tagName.toLowerCase()} ${e.name || e.getAttribute('aria-label') || e.textContent.slice(0, 40)}`
      }))
    }
    return focused
  },

  // ask sends a form with the page's cookies. The answer is null when the browser
  // keeps it from the page.
  async ask({ client, url, form, cookie }) {
    return pages.get(client).evaluate(async ([url, form, cookie]) => {
      document.cookie = cookie
      try {
        const response = await fetch(url, {
          method: 'POST',
          credentials: 'include',
          headers: { 'X-Requested-With': 'XMLHttpRequest' },
          body: new URLSearchParams(form),
        })
        return { status: response.status, body: await response.text() }
      } catch {
        return null
      }
    }, [url, form, cookie])
  },

  async shut({ client }) {
    await pages.get(client).close()
  },
}

const pages = new Map()

await serve(operations, () => context?.close())
