/** `events.*` */
import * as z from "zod";
import { secretKey } from "./forms.ts";
import { duration, type Leaf, leaf, type Reading } from "./leaves.ts";
import { settingNotes } from "./setting-notes.ts";

const URL_CHARS_MAX = 2_048;

const webhookUrl = (): Leaf<string> =>
  leaf("an http:// or https:// URL", (written): Reading<string> => {
    const sound =
      typeof written === "string" &&
      written.length <= URL_CHARS_MAX &&
      /^https?:\/\/[^\s]+$/.test(written) &&
      URL.canParse(written);
    return sound ? { value: written } : { refused: true };
  });

export const eventSettings = z.strictObject({
  webhook: z
    .strictObject({
      url: webhookUrl()
        .optional()
        .register(settingNotes, { meaning: "where every event is posted to, as JSON", secret: true }),
      secret: secretKey()
        .optional()
        .register(settingNotes, { meaning: "sent with each in `X-Bulkhead-Webhook-Secret`", secret: true }),
      timeout: duration("1s", "1min")
        .prefault("10s")
        .register(settingNotes, { meaning: "how long the receiver may take to answer" }),
    })
    .prefault({}),
});

export type EventSettings = z.output<typeof eventSettings>;
