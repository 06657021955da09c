/** The other half of mutants.test.ts. */
import { findMutants } from "./find-mutants.ts";

findMutants(1, 2);
