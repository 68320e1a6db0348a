/** Decodes image files, and reads rows of pixels from pictures and camera frames. */

/**
 * Decode an image file. The browser converts its colors to sRGB and applies its EXIF orientation, unless the model's
 * spec says to ignore that.
 *
 * @param {Blob} file
 * @param {{ignore_orientation?: boolean}} spec
 * @throws {Error} with a message for the user.
 */
export async function decode(file, spec) {
  const options = { imageOrientation: spec.ignore_orientation ? "none" : "from-image" };
  try {
    return await createImageBitmap(file, options);
  } catch {
    const name = file.name || "What was pasted";
    throw new Error(
      file.size === 0
        ? `${name} is empty: choose a picture.`
        : `${name} is not a picture that this browser can read: choose a JPEG, PNG, WebP, AVIF, GIF or BMP file.`,
    );
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @returns {{width: number, height: number, rows: function(number, number): Uint8ClampedArray}} for `toPixels`;
 *   `rows(top, count)` gives `count` rows of RGBA from `top` on.
 */
export function readable(bitmap) {
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  let context = null;
  const rows = (top, count) => {
    if (!context) {
      [canvas.width, canvas.height] = [width, count];
      context = canvas.getContext("2d", { willReadFrequently: true });
    }
    context.clearRect(0, 0, width, count);
    context.drawImage(bitmap, 0, -top);
    return context.getImageData(0, 0, width, count).data;
  };
  return { width, height, rows };
}
