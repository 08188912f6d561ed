// What `require('trunkline')` gets: the same ES module that `import` gets, so that there is one instance of it.
module.exports = require('../dist/src/index.js');
