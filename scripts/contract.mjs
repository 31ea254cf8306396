// `npm run contract`: writes index.d.ts anew from src/. The difference is what users will notice: read it before you commit it.
import { writeFileSync, mkdirSync } from 'node:fs'
import { fromRoot, root } from './lib/paths.mjs'
import { rollUp } from './lib/rollup.mjs'

mkdirSync(fromRoot('build'), { recursive: true })
writeFileSync(fromRoot('index.d.ts'), rollUp(root))
process.stderr.write('index.d.ts written; see `git diff index.d.ts`\n')
