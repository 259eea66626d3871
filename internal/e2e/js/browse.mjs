// Opens pages in Chromium, one after another, and prints as JSON what each shows, or why it shows nothing.
//
//   node browse.mjs PROGRAM PROFILE FLAGS URL...     (FLAGS is JSON; npm packages are found from the working directory)
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { chromium } = createRequire(join(process.cwd(), 'noop.js'))('playwright-core')
const [executablePath, profile, flags, ...urls] = process.argv.slice(2)
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  chromiumSandbox: false,
  args: JSON.parse(flags),
  timeout: 30_000,
})
const page = await browser.newPage()
const shown = []
for (const url of urls) {
  try {
    await page.goto(url, { timeout: 15_000 })
    shown.push(await page.locator('body').innerText({ timeout: 5_000 }))
  } catch (error) {
    shown.push(error.message.split('\n')[0])
  }
}
console.log(JSON.stringify(shown))
await browser.close()
