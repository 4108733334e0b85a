import { defineProcess } from 'hyperware';
import { showOnHomepage, svgIcon } from 'hyperware/homepage';

const icon = svgIcon('<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>');

export default defineProcess({
  setup: (process) => showOnHomepage(process, { label: 'Chat', path: '/', icon }),
});
