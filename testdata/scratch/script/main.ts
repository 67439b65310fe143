import { sum } from "./sum";
import text from "./data.json";

enum Kind {
  One,
  Two,
}

class Box<T> {
  #value: T;
  constructor(value: T) {
    this.#value = value;
  }
  get value(): T {
    return this.#value;
  }
}

export async function main(): Promise<void> {
  const lazy = await import("./lazy");
  console.log(sum(1, 2), new Box(Kind.Two).value, text.name, lazy.default?.());
}

void main();
