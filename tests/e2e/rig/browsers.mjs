// The two browsers with fake cameras. Both are started once per story and hold one page per person.

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

const CHROMIUM = process.env.BATON_CHROMIUM ?? '/usr/bin/chromium';
const GUEST_CHROMIUM = new URL('./guest-chromium.sh', import.meta.url).pathname;
const UNHURRIED_CHROMIUM = new URL('./unhurried-chromium.sh', import.meta.url).pathname;
const FIREFOX = process.env.BATON_FIREFOX ?? '/usr/bin/firefox-esr';

const chromiumFlags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream=fps=30', '--autoplay-policy=no-user-gesture-required',
  '--disable-features=WebRtcHideLocalIpsWithMdns', '--allow-loopback-in-peer-connection', '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
];

const firefoxPrefs = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'permissions.default.camera': 1,
  'permissions.default.microphone': 1,
  'media.autoplay.default': 0,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true,
  'dom.min_background_timeout_value': 4,
  'app.update.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'browser.safebrowsing.downloads.remote.enabled': false,
  'extensions.getAddons.cache.enabled': false,
  'services.settings.server': 'data:,',
};

class Chromium {
  static async start(executablePath = CHROMIUM, env = process.env, flags = []) {
    const browser = await chromium.launch({ executablePath, headless: true, args: [...chromiumFlags, ...flags], env });
    return new Chromium(browser);
  }

  constructor(browser) {
    this.browser = browser;
  }

  /** A page of its own, with nothing remembered. `before` runs in it ahead of the site's scripts. */
  async open(url, { viewport, before, log }) {
    const context = await this.browser.newContext({ viewport, ignoreHTTPSErrors: true });
    await context.grantPermissions(['camera', 'microphone'], { origin: new URL(url).origin });
    const page = await context.newPage();
    page.on('console', (message) => log(message.text()));
    page.on('pageerror', (error) => log(`error: ${error.message}`));
    if (before) await page.addInitScript(before.script, before.argument);
    await page.goto(url);
    return {
      evaluate: (script, argument) => page.evaluate(script, argument),
      click: (name) => page.getByRole('button', { name, exact: true }).click({ timeout: 5000 }),
      has: (name) => page.getByRole('button', { name, exact: true }).isEnabled({ timeout: 100 }),
      resize: (width, height) => page.setViewportSize({ width, height }),
      reload: () => page.reload(),
      screenshot: (path) => page.screenshot({ path }),
      close: () => context.close(),
    };
  }

  close() {
    return this.browser.close();
  }
}

class Firefox {
  static async start() {
    const browser = await puppeteer.launch({
      browser: 'firefox', executablePath: FIREFOX, headless: true, extraPrefsFirefox: firefoxPrefs, acceptInsecureCerts: true,
    });
    return new Firefox(browser);
  }

  constructor(browser) {
    this.browser = browser;
  }

  async open(url, { viewport, before, log }) {
    const context = await this.browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport(viewport);
    page.on('console', (message) => log(message.text()));
    page.on('pageerror', (error) => log(`error: ${error.message}`));
    if (before) await page.evaluateOnNewDocument(before.script, before.argument);
    await page.goto(url);
    return {
      evaluate: (script, argument) => page.evaluate(script, argument),
      click: (name) => page.locator(`::-p-aria([name="${name}"][role="button"])`).setTimeout(5000).click(),
      has: async (name) => (await page.$(`::-p-aria([name="${name}"][role="button"])`)) !== null,
      resize: (width, height) => page.setViewport({ width, height }),
      reload: () => page.reload(),
      screenshot: (path) => page.screenshot({ path }),
      close: () => context.close(),
    };
  }

  close() {
    return this.browser.close();
  }
}

/** A Chromium in another network namespace. `trusts`: an origin without TLS that gets a camera all the same. */
export const chromiumIn = (space, trusts = null) =>
  Chromium.start(GUEST_CHROMIUM, { ...process.env, BATON_GUEST: space }, trusts ? [`--unsafely-treat-insecure-origin-as-secure=${trusts}`] : []);

/** How each kind is started. The unhurried one never takes processor time from the others. */
export const browsers = {
  chromium: () => Chromium.start(),
  'another chromium': () => Chromium.start(),
  firefox: () => Firefox.start(),
  'guest chromium': () => Chromium.start(GUEST_CHROMIUM),
  'unhurried chromium': () => Chromium.start(UNHURRIED_CHROMIUM),
};
