/** Where on the page one is: what stands behind # in the address. */
import { useEffect, useState } from 'preact/hooks';

export type Place = 'jobs' | 'new' | 'providers' | 'money';
export interface Route {
  readonly place: Place;
  /** Of the job that is looked at. */
  readonly jobId: string | undefined;
}

const PLACES: readonly string[] = ['jobs', 'new', 'providers', 'money'];

export function routeOf(hash: string): Route {
  const [place = '', id = ''] = hash.replace(/^#/, '').split('/');
  const jobId = /^0x[0-9a-f]{64}$/.test(id) ? id : undefined;
  // Proof of the type: it is one of the list.
  return { place: PLACES.includes(place) ? (place as Place) : 'jobs', jobId };
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const follow = (): void => setRoute(routeOf(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}

export function go(place: Place, jobId?: string): void {
  location.hash = jobId === undefined ? place : `${place}/${jobId}`;
}
