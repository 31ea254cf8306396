// What the contract shows is explained, and shows nothing of the machinery behind it.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const title = 'every public symbol and member is documented, none is `any`, an enum or native'

export async function check(root) {
  const { default: ts } = await import('typescript')
  const path = join(root, 'index.d.ts')
  if (!existsSync(path)) return ['index.d.ts is missing: run `npm run contract` and commit it']
  const source = ts.createSourceFile('index.d.ts', readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
  const problems = []
  const report = (node, text) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source))
    problems.push(`index.d.ts:${line + 1}: ${text}`)
  }
  checkDocs(ts, source, report)
  checkWords(ts, source, report)
  return problems
}

function checkDocs(ts, source, report) {
  const exported = exportedNames(ts, source)
  const documented = new Set() // overloads: one of them explains
  const missing = []
  const visit = (node, owner) => {
    const name = `${owner}${nameOf(ts, node, source)}`
    if (hasDoc(ts, node)) documented.add(name)
    else missing.push([node, name])
    for (const member of membersOf(ts, node)) {
      if (!isPrivate(ts, member)) visit(member, `${nameOf(ts, node, source)}.`)
    }
  }
  for (const statement of source.statements) {
    if (isDeclaration(ts, statement) && isExported(ts, statement, exported, source)) visit(statement, '')
  }
  for (const [node, name] of missing) {
    if (!documented.has(name)) report(node, `${name} has no doc comment`)
  }
}

/** Names in `export { a, b as c }`. */
function exportedNames(ts, source) {
  const clauses = source.statements.filter(
    (node) => ts.isExportDeclaration(node) && node.exportClause && ts.isNamedExports(node.exportClause),
  )
  return new Set(
    clauses.flatMap((node) => node.exportClause.elements.map((element) => (element.propertyName ?? element.name).text)),
  )
}

const isDeclaration = (ts, node) =>
  ts.isClassDeclaration(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isFunctionDeclaration(node) ||
  ts.isVariableStatement(node) ||
  ts.isEnumDeclaration(node) ||
  ts.isModuleDeclaration(node)

function isExported(ts, node, exported, source) {
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : []
  return modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) || exported.has(nameOf(ts, node, source))
}

function nameOf(ts, node, source) {
  if (ts.isVariableStatement(node)) return node.declarationList.declarations[0].name.getText(source)
  if (ts.isConstructorDeclaration(node) || ts.isConstructSignatureDeclaration(node)) return 'constructor'
  return node.name?.getText(source) ?? '()'
}

/** Members that a user meets: of classes, interfaces, and of type aliases that are object types. */
function membersOf(ts, node) {
  if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) return node.members
  if (ts.isTypeAliasDeclaration(node) && ts.isTypeLiteralNode(node.type)) return node.type.members
  return []
}

/** `#native`, `private`, and a constructor that nobody outside may call. */
const isPrivate = (ts, member) =>
  (member.name && ts.isPrivateIdentifier(member.name)) ||
  (ts.getModifiers(member) ?? []).some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword)

/** A comment that says something: tags alone do not count. */
function hasDoc(ts, node) {
  return ts.getJSDocCommentsAndTags(node).some((doc) => {
    const text = ts.isJSDoc(doc) ? ts.getTextOfJSDocComment(doc.comment) : undefined
    return Boolean(text?.trim()) || (ts.isJSDoc(doc) && /@inheritDoc/i.test(doc.getText()))
  })
}

function checkWords(ts, source, report) {
  const visit = (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) report(node, '`any` promises nothing; say what it is')
    if (ts.isEnumDeclaration(node))
      report(node, 'an enum is neither a type nor a value that JSON has; use string literals')
    if (ts.isIdentifier(node) && /^(Native|Binding)[A-Z]|Native$/.test(node.text))
      report(node, `${node.text} belongs to the machinery, not to the contract`)
    ts.forEachChild(node, visit)
  }
  visit(source)
}
