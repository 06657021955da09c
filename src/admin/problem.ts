import type { Response } from "express";
import type { Problem } from "./api-types.ts";

/** A request that cannot be served, with what the caller is told. RFC 9457. */
export class ApiError extends Error {
  readonly status: number;
  readonly title: string;
  constructor(status: number, title: string, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = "ApiError";
    this.status = status;
    this.title = title;
  }
}

export function sendProblem(response: Response, error: ApiError): void {
  const problem: Problem = { type: "about:blank", title: error.title, status: error.status, detail: error.message };
  response.status(error.status).type("application/problem+json").send(JSON.stringify(problem));
}
