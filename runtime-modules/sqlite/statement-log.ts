/**
 * The Writes of an open transaction, encoded once as its Commit will send them: ten thousand of them are a few buffers, not ten
 * thousand objects for the collector to move about.
 */
import { FieldWriter, type Statement } from './fields.ts';

/** Some statements in a row. */
interface Stretch {
  readonly fields: FieldWriter;
  count: number;
  /** Its one statement was refused after all. */
  refused: boolean;
}

export class StatementLog {
  readonly #stretches: Stretch[] = [];
  /** The stretch that others may join. */
  #open: Stretch | undefined;

  add(statement: Statement): void {
    this.#open ??= this.#begin();
    this.#open.fields.statement(statement);
    this.#open.count += 1;
  }

  /** Adds one whose parameters are still being looked at. @returns what to call when they turn out to be none */
  addUnchecked(statement: Statement): () => void {
    const stretch = this.#begin();
    stretch.fields.statement(statement);
    stretch.count = 1;
    this.#open = undefined;
    return () => {
      stretch.refused = true;
    };
  }

  /** Nothing was ever added. */
  get isEmpty(): boolean {
    return this.#stretches.length === 0;
  }

  /** Their number, and then each of them. */
  writeTo(frame: FieldWriter): void {
    const wanted = this.#stretches.filter((each) => !each.refused);
    frame.u32(wanted.reduce((sum, { count }) => sum + count, 0));
    for (const { fields } of wanted) frame.fields(fields);
  }

  #begin(): Stretch {
    const stretch = { fields: new FieldWriter(), count: 0, refused: false };
    this.#stretches.push(stretch);
    return stretch;
  }
}
