import '@fontsource-variable/inter/wght.css';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/shell.css';
import './style/parts.css';
import './style/overview.css';
import './style/streams.css';
import './style/node.css';
import './style/call.css';
import './style/recordings.css';
import { render } from 'preact';
import { startTheme } from './parts/theme.js';
import { App } from './shell/app.js';

const root = document.getElementById('console');
if (root !== null) {
  startTheme();
  root.replaceChildren();
  render(<App />, root);
}
