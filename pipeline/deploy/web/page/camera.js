/** The device's camera. */

const REASONS = {
  NotAllowedError: "The camera is not allowed: allow it for this page beside its address, and try again.",
  NotFoundError: "No camera was found: connect one, or choose a picture.",
  NotReadableError: "The camera is in use elsewhere: close what uses it, and try again.",
};

/**
 * Show the camera, the one at the back where there are two.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<function(): void>} what switches it off.
 * @throws {Error} a sentence for the person who asked for it.
 */
export async function open(video) {
  if (!navigator.mediaDevices) {
    throw new Error("A browser gives the camera only to pages served over https, or from this machine as localhost.");
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    await video.play();
  } catch (error) {
    close(video);
    throw new Error(REASONS[error.name] ?? `The camera cannot be used (${error.message}).`);
  }
  return () => close(video);
}

function close(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
