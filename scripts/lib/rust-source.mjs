// Rust text without what is not code: comments, strings and characters become spaces, lines stay where they are.

/** `source` with the same length and line breaks, in which only code is left. */
export function codeOnly(source) {
  let out = ''
  let at = 0
  while (at < source.length) {
    const length = quietLength(source, at)
    if (length > 0) {
      out += source.slice(at, at + length).replace(/[^\n]/g, ' ')
      at += length
    } else {
      out += source[at]
      at += 1
    }
  }
  return out
}

/** Length of the comment, string or character that starts at `at`; 0 when code does. */
function quietLength(source, at) {
  const two = source.slice(at, at + 2)
  if (two === '//') return lineEnd(source, at) - at
  if (two === '/*') return blockComment(source, at)
  const before = source[at - 1] ?? ' '
  const raw = !/\w/.test(before) && /^b?c?r(#*)"/.exec(source.slice(at, at + 40))
  if (raw) {
    const end = source.indexOf(`"${raw[1]}`, at + raw[0].length)
    return (end === -1 ? source.length : end + 1 + raw[1].length) - at
  }
  if (source[at] === '"') return quoted(source, at)
  // 'a' and '\n' are characters, 'a without a closing quote is a lifetime.
  return source[at] === "'"
    ? (/^'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'\n])'/su.exec(source.slice(at, at + 16))?.[0].length ?? 0)
    : 0
}

function lineEnd(source, at) {
  const end = source.indexOf('\n', at)
  return end === -1 ? source.length : end
}

function blockComment(source, at) {
  let depth = 0
  for (let i = at; i < source.length; i += 1) {
    const two = source.slice(i, i + 2)
    if (two === '/*') depth += 1
    if (two === '*/') depth -= 1
    if (two === '/*' || two === '*/') i += 1
    if (depth === 0) return i + 1 - at
  }
  return source.length - at
}

function quoted(source, at) {
  for (let i = at + 1; i < source.length; i += 1) {
    if (source[i] === '\\') i += 1
    else if (source[i] === '"') return i + 1 - at
  }
  return source.length - at
}

/** Lines of a file without its inline `#[cfg(test)] mod … { }`. */
export function linesWithoutTests(source) {
  const code = codeOnly(source)
  const start =
    /^#\[cfg\((?:test|all\(test\b.*)\)?\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{/m.exec(code)
  if (!start) return source.trimEnd().split('\n').length
  const end = closingBrace(code, start.index + start[0].length)
  const rest = source.slice(0, start.index) + source.slice(end)
  return rest.trimEnd().split('\n').length
}

function closingBrace(code, from) {
  let depth = 1
  for (let i = from; i < code.length; i += 1) {
    if (code[i] === '{') depth += 1
    if (code[i] === '}') depth -= 1
    if (depth === 0) return i + 1
  }
  return code.length
}
