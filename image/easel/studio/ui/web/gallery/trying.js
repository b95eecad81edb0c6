// What was refused is said in a notice; what comes after it is not done.
import { tell } from "../notices.js";

/**
 * @param {Promise<T>} work
 * @returns {Promise<T | undefined>} undefined where it was refused
 * @template T
 */
export async function trying(work) {
  try {
    return await work;
  } catch (error) {
    if (!error.words) throw error;
    tell(error.words, { bad: true });
    return undefined;
  }
}
