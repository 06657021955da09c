import { readFileSync } from "node:fs";
import { defineConfig, type OxlintOverride } from "oxlint";
import { DEPTH_MAX, forbiddenDirections, LAYERS, type RestrictedPattern } from "./scripts/checks/import-directions.ts";

const CLOCK = "Take the Clock of src/shared/clock.ts as an argument: tests and the simulation hold time still.";
const RANDOM = "Take the Random of src/shared/random.ts as an argument: a run is repeated from its seed.";
const ENVIRONMENT = "Only src/main.ts reads the environment; src/config turns it into typed settings.";

/** Ways to time, chance and the environment that would pass by what is injected. Allowed in the files of `SOURCES`. */
const AMBIENT = {
  globals: [
    ...["setTimeout", "setInterval", "setImmediate", "performance"].map((name) => ({ name, message: CLOCK })),
    { name: "crypto", message: RANDOM },
  ],
  properties: [
    { object: "Date", property: "now", message: CLOCK },
    { object: "Math", property: "random", message: RANDOM },
    { object: "process", property: "env", message: ENVIRONMENT },
    { object: "process", property: "hrtime", message: CLOCK },
    ...["setTimeout", "setInterval", "performance"].map((property) => ({
      object: "globalThis",
      property,
      message: CLOCK,
    })),
  ],
  imports: [
    ...["node:timers", "node:timers/promises", "node:perf_hooks"].map((name) => ({ name, message: CLOCK })),
    { name: "node:crypto", importNames: ["randomBytes", "randomFillSync", "randomInt", "randomUUID"], message: RANDOM },
    { name: "node:process", importNames: ["env", "hrtime"], message: ENVIRONMENT },
  ],
};

/** The folder where time, chance and ids come from, and the entry point that reads the environment. */
const SOURCES = ["src/shared/**", "src/main.ts"];

/** What is installed only for development must not be needed by the published package. */
function developmentOnly(): RestrictedPattern {
  const manifest: unknown = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
  const { devDependencies } = manifest as { devDependencies: Record<string, string> };
  const names = Object.keys(devDependencies).map((name) => name.replaceAll("/", "\\/"));
  return {
    regex: `^(${names.join("|")})(/|$)`,
    message: "A development dependency: the published package has it not.",
  };
}

const OUTSIDE_SRC: RestrictedPattern = {
  regex: "^(\\.\\./)+(test|scripts)/",
  message: "src/ stands alone: tests and scripts import it, not the other way round.",
};

function layerOverrides(): OxlintOverride[] {
  const everywhere = [developmentOnly(), OUTSIDE_SRC];
  return LAYERS.flatMap((layer) =>
    Array.from({ length: DEPTH_MAX }, (_, index): OxlintOverride => {
      const depth = index + 1;
      return {
        files: [`src/${layer}/${"*/".repeat(index)}*.ts`],
        rules: {
          "no-restricted-imports": [
            "error",
            {
              paths: layer === "shared" ? [] : AMBIENT.imports,
              patterns: [...everywhere, ...forbiddenDirections(layer, depth)],
            },
          ],
        },
      };
    }),
  );
}

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "promise", "node"],
  options: { typeAware: true, reportUnusedDisableDirectives: "error" },
  ignorePatterns: ["dist/", "data/", "node_modules/"],
  categories: { correctness: "error" },
  rules: {
    eqeqeq: ["error", "always", { null: "ignore" }],
    "max-params": ["error", { max: 4 }],
    "no-var": "error",
    "prefer-const": "error",
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "import/no-default-export": "error",
    "typescript/await-thenable": "error",
    // Where a module is imported only when it is needed, its types are named by import() too.
    "typescript/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
    "typescript/no-explicit-any": "error",
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/no-non-null-assertion": "error",
    // A caught error and a signal's reason are thrown again as they are.
    "typescript/only-throw-error": [
      "error",
      { allowRethrowing: true, allowThrowingUnknown: true, allowThrowingAny: true },
    ],
    // Interfaces here are made of closures, written as methods, that may be taken apart.
    "typescript/unbound-method": "off",
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    "promise/no-callback-in-promise": "off",
    "unicorn/no-new-array": "off",
    // A spread may keep the parts of a command line or of an object together.
    "unicorn/no-useless-spread": "off",
    "unicorn/filename-case": ["error", { case: "kebabCase" }],
  },
  overrides: [
    {
      files: ["src/**"],
      rules: {
        "no-console": "error",
        "no-restricted-globals": ["error", ...AMBIENT.globals],
        "no-restricted-properties": ["error", ...AMBIENT.properties],
        "typescript/no-unsafe-argument": "error",
        "typescript/no-unsafe-assignment": "error",
        "typescript/no-unsafe-call": "error",
        "typescript/no-unsafe-member-access": "error",
        "typescript/no-unsafe-return": "error",
        "unicorn/no-process-exit": "error",
      },
    },
    ...layerOverrides(),
    {
      files: SOURCES,
      rules: { "no-restricted-globals": "off", "no-restricted-properties": "off" },
    },
    {
      // node:test's describe and test return promises that its runner awaits.
      files: ["test/**"],
      rules: {
        // A property takes as many arguments as it has arbitrary values.
        "max-params": "off",
        "typescript/no-floating-promises": [
          "error",
          {
            allowForKnownSafeCalls: [
              { from: "package", name: ["describe", "it", "suite", "test"], package: "node:test" },
            ],
          },
        ],
      },
    },
    {
      files: ["test/acceptance/**"],
      rules: {
        "no-restricted-imports": [
          "error",
          {
            patterns: [{ regex: "^(\\.\\./)+src/", message: "Black-box: an acceptance test knows what a user knows." }],
          },
        ],
      },
    },
    { files: ["oxlint.config.ts"], rules: { "import/no-default-export": "off" } },
  ],
});
