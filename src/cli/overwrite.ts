import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** Whether both names lead to one file, through links of either kind, and where nothing is there yet, too. */
export function sameFile(a: string, b: string): boolean {
  const [one, other] = [statOf(a), statOf(b)]
  if (one && other) return one.ino === other.ino && one.dev === other.dev
  return one === undefined && other === undefined && placeOf(a) === placeOf(b)
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined // what is in the way will be told by whoever opens it
  }
}

/** Links that lead to links, at most. */
const LINKS_MAX = 40

/** Where a file will lie that is not there yet. */
function placeOf(path: string, links = 0): string {
  try {
    if (links < LINKS_MAX && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
      return placeOf(resolve(dirname(path), readlinkSync(path)), links + 1)
    return join(realpathSync(dirname(path)), basename(path))
  } catch {
    return resolve(path)
  }
}
