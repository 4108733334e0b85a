export { terminal as init } from '../../shared/host.ts';
