"""The data sets that results are reported on, as they are published.

Ranges, crops, masks and resizes follow the spec, "Evaluation". Where it says nothing they follow the data set's own
documentation, or else published evaluations, and `source` says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product

from dvd.data import formats, motion, nyu_mat
from dvd.data.folders import Patterns
from dvd.data.framing import Framing
from dvd.data.layout import IMAGE, Layout, Packed

STAMP = r"{frame:\d+\.\d+}"
"""A time in seconds: the name of TUM's and Bonn's files."""

KITTI = Layout(
    name="kitti",
    summary="real street drives, left colour camera; 16-bit, 256 units a metre, sparse lidar over several sweeps",
    paths=Patterns(
        rgb=r"{date:\d+_\d+_\d+}/{drive:\w+_sync}/image_02/data/{frame:\d+}.{:png|jpg}",
        depth=r"{split:train|val}/{drive:\w+_sync}/proj_depth/groundtruth/image_02/{frame:\d+}.png",
        scene="{drive}",
        sequence="{drive}",
        split="{split}",
    ),
    example=(
        "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000005.png",
        "val/2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/0000000005.png",
    ),
    read=formats.read_png16,
    per_metre=256,
    range_m=(1e-5, 80.0),
    outside="uncounted",
    # The mask is Eigen's, in fractions of the cropped frame.
    framing=Framing(crop=(352, 1216), counted=(0.3324324, 0.91351351, 0.0359477, 0.96405229)),
    fps=10,
    cameras=motion.kitti,
    # The first and last five frames of a drive have no depth; a few drives have none at all.
    some_unlabelled=True,
    scenes=151,
    evaluated="val",
    licence="CC BY-NC-SA 3.0",
    source="https://www.cvlibs.net/datasets/kitti (raw data, synced and rectified, with the annotated depth maps; "
    "poses from its GPS and inertial unit, as its development kit computes them)",
)


def _kitti_forms() -> Iterator[Layout]:
    """Yield the release's form, `rgb/` beside `depth/`, and other usual ones, with or without days and splits."""
    frame, truth = r"image_02/data/{frame:\d+}.{:png|jpg}", r"proj_depth/groundtruth/image_02/{frame:\d+}.png"
    day, drive, split = r"{date:\d+_\d+_\d+}/", r"{drive:\w+_sync}/", "{split:train|val}/"
    images = ("{:rgb|raw|raw_data|kitti_raw|kitti_rgb}/", "")
    depths = ("{:depth|data_depth_annotated|kitti_depth}/", "")
    for image, depth, rgb, labels in product(images, depths, (day, "", split, split + day), (split, "", day)):
        paths = replace(
            KITTI.paths,
            rgb=f"{image}{rgb}{drive}{frame}",
            depth=f"{depth}{labels}{drive}{truth}",
            split="{split}" if split in rgb + labels else "",
        )
        if paths != KITTI.paths:
            yield replace(KITTI, paths=paths)


EVALUATION: tuple[Layout, ...] = (
    replace(KITTI, forms=tuple(_kitti_forms())),
    Layout(
        name="scannet",
        summary="real interiors, hand-held, extracted from .sens; depth 16-bit millimetres, 640 × 480",
        paths=Patterns(
            rgb=r"{scene:scene\d+_\d+}/color/{frame:\d+}.{:jpg|png}",
            depth=r"{scene:scene\d+_\d+}/depth/{frame:\d+}.{:png|npz|npy}",
            scene="{scene}",
            sequence="{scene}",
        ),
        example=("scene0707_00/color/0.jpg", "scene0707_00/depth/0.png"),
        read=formats.read_by_ending,
        per_metre=1000,
        range_m=(1e-3, 10.0),
        outside="uncounted",
        framing=Framing(resize=(480, 640), own_colour_size=True),
        fps=30,
        cameras=motion.scannet,
        scenes=1613,
        licence="ScanNet Terms of Use (research only)",
        source="http://www.scan-net.org (its SensReader writes this layout; colour is 1296 × 968)",
    ),
    Layout(
        name="bonn",
        summary="real interiors with moving people, hand-held Xtion; 16-bit, 5000 units a metre, 640 × 480",
        paths=Patterns(
            rgb=f"{{sequence:rgbd_bonn_.+}}/rgb/{STAMP}.png",
            depth=f"{{sequence:rgbd_bonn_.+}}/depth/{STAMP}.png",
            scene="{sequence}",
            sequence="{sequence}",
            tolerance=motion.NEAR_S,
        ),
        example=(
            "rgbd_bonn_balloon/rgb/1548266469.63459.png",
            "rgbd_bonn_balloon/depth/1548266469.63510.png",
        ),
        read=formats.read_png16,
        per_metre=5000,
        range_m=(0.1, 10.0),
        outside="uncounted",
        fps=30,
        cameras=motion.bonn,
        some_unlabelled=True,
        scenes=26,
        licence="see its page",
        source="https://www.ipb.uni-bonn.de/data/rgbd-dynamic-dataset (colour and depth paired by their times, "
        "0.02 s apart at most; poses carried from the markers to the sensor by the published matrix)",
    ),
    Layout(
        name="sintel",
        summary="an animated film, final or clean pass; .dpt float metres, 1024 × 436",
        paths=Patterns(
            rgb=r"{split:final|clean}/{scene}/frame_{frame:\d+}.png",
            depth=r"depth/{scene}/frame_{frame:\d+}.dpt",
            scene="{scene}",
            sequence="{scene}/{split}",
            split="{split}",
            prefixes=("training/", ""),
        ),
        example=("training/final/alley_1/frame_0001.png", "training/depth/alley_1/frame_0001.dpt"),
        read=formats.read_dpt,
        per_metre=1,
        range_m=(0.1, 70.0),
        outside="uncounted",
        framing=Framing(resize=(480, 640)),
        fps=24,
        cameras=motion.sintel,
        flow=motion.sintel_flow,
        scenes=(
            *("alley_1", "alley_2", "ambush_2", "ambush_4", "ambush_5", "ambush_6", "ambush_7", "bamboo_1", "bamboo_2"),
            *("bandage_1", "bandage_2", "cave_2", "cave_4", "market_2", "market_5", "market_6", "mountain_1"),
            *("shaman_2", "shaman_3", "sleeping_1", "sleeping_2", "temple_2", "temple_3"),
        ),
        evaluated="final",
        licence="CC BY 3.0 (© Blender Foundation)",
        source="http://sintel.is.tue.mpg.de (images and flow of the flow data set, depth and cameras of the depth "
        "training data; resized without keeping the shape; depth and flow to the nearest pixel, which the spec leaves "
        "open)",
    ),
    Layout(
        name="nyuv2",
        summary="real interiors, single images, Kinect; extracted 16-bit millimetres, or the labelled .mat; 640 × 480",
        paths=Patterns(
            rgb=rf"{{scene}}/rgb_{{frame:\d+}}.{IMAGE}",
            depth=r"{scene}/{:sync_depth|depth}_{frame:\d+}.png",
            scene="{scene}",
            sequence="{scene}",
            prefixes=("test/", "official_splits/test/", ""),
        ),
        example=("test/bathroom/rgb_00045.jpg", "test/bathroom/sync_depth_00045.png"),
        read=formats.read_png16,
        per_metre=1000,
        range_m=(1e-3, 10.0),
        outside="uncounted",
        # The depth camera's view in the colour image: rows 45 … 470, columns 41 … 600 of 480 × 640.
        framing=Framing(counted=(45 / 480, 471 / 480, 41 / 640, 601 / 640)),
        ordered=False,
        cameras=partial(motion.constant, motion.NYU_KINECT, (480, 640)),
        packed=Packed(nyu_mat.FILE, nyu_mat.survey_labelled, nyu_mat.read_rgb, nyu_mat.read_depth, 1),
        evaluated="test",
        licence="none stated",
        source="https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html (654 test images; raw depth; the part that is "
        "evaluated is that of its toolbox's get_projection_mask, counted from 0 as in published evaluations)",
    ),
    Layout(
        name="diode",
        summary="real interiors and streets, single images, laser scanner; .npy float metres with masks, 1024 × 768",
        paths=Patterns(
            rgb="{split:indoors|outdoor}/{scene:scene_.+}/{scan:scan_.+}/{frame}.png",
            depth="{split:indoors|outdoor}/{scene:scene_.+}/{scan:scan_.+}/{frame}_depth.npy",
            scene="{scene}",
            sequence="{split}/{scene}/{scan}",
            split="{split}",
            prefixes=("val/", ""),
        ),
        example=(
            "val/indoors/scene_00019/scan_00183/00019_00183_indoors_000_010.png",
            "val/indoors/scene_00019/scan_00183/00019_00183_indoors_000_010_depth.npy",
        ),
        read=formats.read_masked_npy,
        per_metre=1,
        range_m=(0.6, 350.0),
        outside="uncounted",
        ordered=False,
        cameras=partial(motion.constant, motion.DIODE_CAMERA, (768, 1024)),
        licence="MIT",
        source="https://diode-dataset.org (the range is the scanner's, FARO Focus S350; depth excluded by the mask, "
        "*_depth_mask.npy, is unknown)",
    ),
    Layout(
        name="eth3d",
        summary="real scenes, single high-resolution images, laser scanner; bare float32 metres, 6048 × 4032",
        paths=Patterns(
            rgb="{scene}/images/dslr_images/{frame}.JPG",
            depth="{scene}/ground_truth_depth/dslr_images/{frame}.JPG",
            scene="{scene}",
            sequence="{scene}",
        ),
        example=(
            "courtyard/images/dslr_images/DSC_0286.JPG",
            "courtyard/ground_truth_depth/dslr_images/DSC_0286.JPG",
        ),
        read=formats.read_bare,
        per_metre=1,
        range_m=(1e-5, float("inf")),
        outside="uncounted",
        ordered=False,
        cameras=motion.eth3d,
        infinity_is_unknown=True,
        bare=True,
        scenes=(
            *("courtyard", "delivery_area", "electro", "facade", "kicker", "meadow", "office", "pipes"),
            *("playground", "relief", "relief_2", "terrace", "terrains"),
        ),
        licence="CC BY-NC-SA 4.0",
        source="https://www.eth3d.net/documentation (distorted JPEG images, aligned with depth; infinity is no depth, "
        "and no range is stated: all that was measured counts; not resized)",
    ),
    Layout(
        name="tum",
        summary="real interiors, hand-held Kinect, or any recording in that form; 16-bit, 5000 units a metre",
        paths=Patterns(
            rgb=f"{{sequence}}/rgb/{STAMP}.{IMAGE}",
            depth=f"{{sequence}}/depth/{STAMP}.png",
            scene="{sequence}",
            sequence="{sequence}",
            tolerance=motion.NEAR_S,
        ),
        example=(
            "rgbd_dataset_freiburg1_desk/rgb/1305031452.791720.png",
            "rgbd_dataset_freiburg1_desk/depth/1305031452.786207.png",
        ),
        read=formats.read_png16,
        per_metre=5000,
        range_m=(0.1, 10.0),
        outside="uncounted",
        fps=30,
        cameras=motion.tum,
        some_unlabelled=True,
        licence="CC BY 4.0",
        source="https://cvg.cit.tum.de/data/datasets/rgbd-dataset (colour and depth paired by their times, 0.02 s "
        "apart at most, the default of its associate.py; the range, which it does not state, is that of Bonn's, "
        "another Kinect-like sensor)",
    ),
)
