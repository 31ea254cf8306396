// `npm start`: sets up what is missing, then does the main job. Arguments and exit code pass through.
import { attached } from './lib/run.mjs'
import { fromRoot } from './lib/paths.mjs'
import { explain, setup } from './setup.mjs'

await setup().catch(explain)
process.exitCode = await attached(
  process.execPath,
  [fromRoot('dist', 'cli', 'main.js'), 'record', ...process.argv.slice(2)],
  {
    cwd: process.env.INIT_CWD ?? process.cwd(), // a file name means what it means where the command was typed
  },
)
