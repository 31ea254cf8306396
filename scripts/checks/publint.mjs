// The package as npm would see it: every entry point is there and means what it says.
export const title = 'package.json is right for npm (publint)'

export async function check(root) {
  const { publint } = await import('publint')
  const { formatMessage } = await import('publint/utils')
  const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: 'npm' })
  return messages.map((message) => formatMessage(message, pkg, { color: false }))
}
