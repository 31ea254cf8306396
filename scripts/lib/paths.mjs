// Where things lie. Everything is relative to the checkout or to the user's cache, so that a clone works anywhere.
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const root = resolve(fileURLToPath(new URL('../..', import.meta.url)))

/** What outlives a checkout: fuzz corpora, other Nodes, root file systems, CI's cargo target. */
export const cacheRoot = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')

export const inCi = Boolean(process.env.CI) && process.env.CI !== 'false' && process.env.CI !== '0'

export const fromRoot = (...parts) => join(root, ...parts)
export const inCache = (name) => join(cacheRoot, name)

/** The one platform of today; the product issue adds rows. */
export const platform = {
  slug: 'linux-x64-gnu',
  dir: fromRoot('npm', 'linux-x64-gnu'),
  addon: 'beamline.linux-x64-gnu.node',
}

/** A program of an installed npm package. */
export const bin = (name) => fromRoot('node_modules', '.bin', name)
