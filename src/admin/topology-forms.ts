/** Forms of values in requests that change the cluster. */
import * as z from "zod";
import type { DiskType, TopologyDomain } from "../placement/topology.ts";

export const NODE_DISK_TYPES = ["ssd", "hdd", "nvme", "unknown"] as const satisfies readonly DiskType[];
export const DOMAIN_ROLES = ["active", "standby"] as const satisfies readonly TopologyDomain["role"][];

/** A whole number from 0 to `max`. */
export const countOf = (max: number): z.ZodNumber => z.number().int().min(0).max(max);
export const textOf = (form: RegExp): z.ZodString => z.string().regex(form);
export const accessKeyForm = (): z.ZodString => textOf(/^[!-+\-.0-<>-~]{1,128}$/);
