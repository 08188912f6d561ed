// @ts-ignore TypeScript's settings node16 and node18 know no require() of an ES module, which Node has since 20.19.
import trunkline = require('../dist/src/index.js');
export = trunkline;
