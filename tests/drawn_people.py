"""A hand and a person drawn by a formula: nobody's photographs, with known places of their joints."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

Limb = list[tuple[float, float, float]]
"""x, y and thickness in pixels along it."""
SKIN, SHIRT, TROUSERS, SHOES, HAIR = (150, 178, 224), (150, 90, 60), (90, 70, 60), (40, 40, 45), (40, 50, 70)
WALL, FLOOR, CREASE, LIPS = (92, 110, 84), (150, 165, 170), (96, 118, 168), (90, 90, 190)
"""Blue first, as all colours here."""
FINGERS: dict[str, Limb] = {
    "index_finger": [(166, 250, 46), (152, 170, 42), (146, 122, 36), (142, 84, 28)],
    "middle_finger": [(206, 244, 48), (204, 150, 44), (203, 96, 38), (203, 54, 28)],
    "ring_finger": [(246, 248, 46), (258, 160, 42), (264, 108, 36), (268, 70, 27)],
    "pinky": [(284, 264, 40), (308, 196, 35), (320, 156, 30), (330, 124, 24)],
    "thumb": [(190, 380, 70), (130, 318, 54), (92, 268, 42), (66, 226, 30)],
}
"""From the palm to the tip."""
_PALM: list[Limb] = [
    [(170, 330, 64), (168, 250, 56)],
    [(210, 335, 70), (208, 245, 56)],
    [(250, 330, 64), (246, 250, 54)],
    [(282, 322, 50), (282, 266, 46)],
    [(222, 440, 104), (224, 340, 110)],
]
_CREASES = [(150, 262, 190, 280), (190, 280, 284, 272), (156, 278, 222, 360), (160, 268, 186, 370)]
JOINTS = {
    "nose": (256, 95),
    "right_shoulder": (212, 165),
    "left_shoulder": (300, 165),
    "right_elbow": (186, 225),
    "left_elbow": (326, 225),
    "right_wrist": (176, 285),
    "left_wrist": (336, 285),
    "right_hip": (238, 285),
    "left_hip": (274, 285),
    "right_knee": (232, 370),
    "left_knee": (280, 370),
    "right_ankle": (228, 450),
    "left_ankle": (284, 450),
}
"""Of the person, who faces the viewer."""
_BODY: list[tuple[tuple[int, int, int], list[Limb]]] = [
    (SKIN, [[(256, 150, 40), (256, 120, 38)]]),
    (SKIN, [[(212, 165, 30), (186, 225, 26), (176, 285, 22)], [(300, 165, 30), (326, 225, 26), (336, 285, 22)]]),
    (SKIN, [[(176, 285, 20), (172, 305, 24), (172, 318, 14)], [(336, 285, 20), (340, 305, 24), (340, 318, 14)]]),
    (TROUSERS, [[(238, 280, 52), (232, 370, 40), (228, 450, 30)], [(274, 280, 52), (280, 370, 40), (284, 450, 30)]]),
    (SHOES, [[(228, 452, 28), (216, 470, 24)], [(284, 452, 28), (296, 470, 24)]]),
    (SHIRT, [[(222, 170, 50), (230, 270, 56)], [(290, 170, 50), (282, 270, 56)], [(256, 165, 50), (256, 275, 60)]]),
    (SHIRT, [[(214, 164, 36), (192, 212, 34)], [(298, 164, 36), (320, 212, 34)]]),
    (HAIR, [[(256, 70, 62), (256, 92, 56), (256, 108, 40)]]),
    (
        SKIN,
        [
            [(256, 80, 54), (256, 98, 52), (256, 112, 36)],
            [(229, 92, 10), (229, 100, 8)],
            [(283, 92, 10), (283, 100, 8)],
        ],
    ),
    (HAIR, [[(234, 62, 18), (256, 54, 26), (278, 62, 18)]]),
]


def painted(picture: np.ndarray, limbs: list[Limb], colour: tuple[int, int, int], blur: float = 2) -> np.ndarray:
    """The picture with round limbs on it, lit from the top left."""
    side = len(picture)
    rows, columns = np.ogrid[:side, :side]
    height = np.zeros((side, side))
    for x, y, size in (step for limb in limbs for ends in pairwise(limb) for step in np.linspace(*ends, 40)):
        beyond = ((columns - x) ** 2 + (rows - y) ** 2) / (size / 2) ** 2
        height = np.maximum(height, size / 2 * np.sqrt(np.maximum(0, 1 - beyond)))
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), blur)
    down, across = np.gradient(height)
    facing = (0.39 * across + 0.49 * down + 0.78) / np.sqrt(across**2 + down**2 + 1)
    covered = np.clip(height / 4, 0, 1)[..., None]
    return picture * (1 - covered) + np.array(colour) * covered * (0.75 * np.clip(facing, 0, 1) + 0.3)[..., None]


def draw_hand() -> np.ndarray:
    """(448, 448, 3) uint8, blue first: the palm of a right hand, fingers up."""
    empty = np.full((448, 448, 3), WALL, float)
    drawn = painted(empty, [*_PALM, *FINGERS.values()], SKIN, blur=3).clip(0, 255).astype(np.uint8)
    joints = [(x - size / 4, y, x + size / 4, y) for limb in FINGERS.values() for x, y, size in limb[1:3]]
    for line in (*_CREASES, *joints):
        x1, y1, x2, y2 = map(round, line)
        cv2.line(drawn, (x1, y1), (x2, y2), CREASE, 2, cv2.LINE_AA)
    return drawn


def draw_person() -> np.ndarray:
    """(512, 512, 3) uint8, blue first: a person who stands and faces the viewer."""
    picture = np.full((512, 512, 3), (200, 205, 210), float)
    picture[440:] = FLOOR
    for colour, limbs in _BODY:
        picture = painted(picture, limbs, colour, blur=1.5)
    drawn = picture.clip(0, 255).astype(np.uint8)
    for x in (245, 267):
        cv2.ellipse(drawn, (x, 86), (5, 3), 0, 0, 360, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(drawn, (x, 86), 2, HAIR, -1, cv2.LINE_AA)
        cv2.line(drawn, (x - 6, 79), (x + 6, 79), HAIR, 2, cv2.LINE_AA)
    cv2.line(drawn, (256, 88), (253, 98), CREASE, 2, cv2.LINE_AA)
    cv2.ellipse(drawn, (256, 106), (9, 4), 0, 10, 170, LIPS, 2, cv2.LINE_AA)
    return drawn
