// The least that a process of the library does with a request.
import { defineProcess } from 'hyperware';

export default defineProcess({ onMessage: (context) => context.body });
