"""Names, units and times as loggers, phones, data sets and spreadsheets write them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STANDARD_GRAVITY = 9.80665
# The names of AndroSensor, phyphox, Sensor Logger, SensorLog, Physics Toolbox, WitMotion, Mbient, Shimmer, ST, Xsens,
# Axivity, Edge Impulse, UCI HAR, PAMAP2, MotionSense, and of boards; German, French, Spanish, Italian.
ACCELERATION_NAMES = (
    "a{x}", "A{X}", "a{X}", "acc{X}", "Acc{X}", "ACC{X}", "acc_{x}", "Acc_{X}", "Acc {X}", "accel_{x}", "Accel-{X}",
    "accelerometer_{x}", "Accelerometer {X}", "ACCELEROMETER {X}", "accelerometer.{x}", "Acceleration {x}", "{x}_acc",
    "{X}acc", "imu_acc_{x}", "acc.{x}", "total_acc_{x}", "A_{X}", "accelerometerAcceleration{X}", "Accel_LN_{X}_CAL",
    "Accel_LN_{X}", "gF{x}", "hand_acc16_{x}", "acceleration_{x}", "accel{X}", "Accel{X}",
    "sensor1_acc_{x}", "ankle_accel_{x}", "LSM6DSOX_acc_{x}", "Beschleunigung {x}", "Beschl_{x}",
    "Acc\u00e9l\u00e9ration {X}", "Aceleraci\u00f3n {x}", "accelerazione_{x}", "acc{x}", "acc{x}1", "raw_acc_{x}",
    "acceleration/{x}",
)  # fmt: skip
PLAIN_NAMES = ("{x}", "{X}", "axis_{x}", "{x}-axis", "{X}-Axis", "Axis {X}", "axis{X}", "{x}_axis", "{X}-Achse",
    "Achse {x}",
               "axe_{x}", "sensor_{x}")  # fmt: skip
LINEAR_NAMES = (
    "body_acc_{x}", "userAcceleration.{x}", "LINEAR ACCELERATION {X}", "Linear Acceleration {x}", "lin_acc_{x}",
    "linear_acceleration_{x}", "motionUserAcceleration{X}", "linacc_{x}", "FreeAcc_{X}", "lacc_{x}",
)  # fmt: skip
ROTATION_NAMES = (
    "g{x}", "G{X}", "g{X}", "gyr{X}", "Gyr{X}", "GYR{X}", "gyr_{x}", "Gyr_{X}", "gyro_{x}", "Gyro{X}", "gyroscope_{x}",
    "GYROSCOPE {X}", "Gyroscope {x}", "{x}_gyro", "imu_gyro_{x}", "rotationRate.{x}", "omega_{x}", "rot_{x}", "w{x}",
    "gyroRotation{X}", "Gyro_{X}_CAL", "G_{X}", "hand_gyro_{x}", "gyros_{x}", "angular_velocity_{x}", "angvel_{x}",
    "Gyroskop {x}", "Drehrate {x}", "Winkelgeschwindigkeit {x}", "Vitesse angulaire {X}", "giroscopio_{x}",
    "motionRotationRate{X}", "rotation_rate_{x}", "As{X}", "turn_rate_{x}",
)  # fmt: skip
# Value of 1 m/s^2 or 1 deg/s in each unit; counts depend on the part.
ACCELERATION_UNITS = {
    "m/s^2": 1.0, "g": 1 / STANDARD_GRAVITY, "mg": 1000 / STANDARD_GRAVITY, "mm/s^2": 1e3, "cm/s^2": 1e2,
    "ft/s^2": 1 / 0.3048,
}  # fmt: skip
ROTATION_UNITS = {
    "deg/s": 1.0, "rad/s": np.pi / 180, "mdps": 1e3, "mrad/s": np.pi / 0.18, "rpm": 1 / 6, "rev/s": 1 / 360,
}  # fmt: skip
SPELLED = {
    "m/s^2": ("m/s^2", "m/s2", "m/s\u00b2", "m/s/s", "ms-2", "m/(s^2)", "m\u00b7s\u207b\u00b2", "m s^-2", "mps2",
    "m/sec^2"),
    "g": ("g", "G", "gs", "g's"), "mg": ("mg", "mG", "milli-g"), "mm/s^2": ("mm/s^2", "mm/s2"),
    "cm/s^2": ("cm/s^2", "Gal"), "ft/s^2": ("ft/s^2",), "counts": ("LSB", "raw", "counts", "digits"),
    "deg/s": ("deg/s", "dps", "DPS", "\u00b0/s", "deg/sec", "degrees/s", "\u00ba/s", "deg / s"),
    "rad/s": ("rad/s", "rad/sec", "rad\u00b7s\u207b\u00b9", "rads-1", "rad s^-1"), "mdps": ("mdps",),
    "mrad/s": ("mrad/s",),
    "rpm": ("rpm",), "rev/s": ("rev/s",),
}  # fmt: skip
PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class Time:
    """A column of times.

    Attributes:
        name: its name.
        unit: ``s``, ``ms``, ``us``, ``ns``, or the form of its texts; ``|`` is a fraction of three digits.
        start: first time in seconds.
        digits: decimals.
    """

    name: str
    unit: str
    start: float = 0.0
    digits: int = 0


ISO = "%Y-%m-%dT%H:%M:%S.|"
_EPOCH = 1.7e9
_TIMES = (
    *(Time(name, "s", 0, 4) for name in ("t", "time", "Time", "Time (s)", "time_s", "seconds_elapsed", "Zeit (s)",
    "Temps (s)",
                                         "elapsed (s)", "sec", "TimeStamp [s]", "timestamp")),
    *(Time(name, "s", 4321.5, 3) for name in ("uptime", "t", "timestamp")),
    *(Time(name, "s", _EPOCH, 3) for name in ("unix_time", "epoch", "timestamp", "time")),
    *(Time(name, "ms", 0) for name in ("timestamp", "ms", "time_ms", "millis", "Time [ms]", "Zeit [ms]", "t(ms)",
    "tick",
                                       "Time since start in ms", "uptime_ms", "time", "elapsed_ms")),
    *(Time(name, "ms", 98765.4321, 3) for name in ("time_ms", "time")),
    *(Time(name, "ms", _EPOCH) for name in ("epoch", "loggingTime", "epoch (ms)", "timestamp", "UnixTime[ms]")),
    *(Time(name, "us", 12.5) for name in ("time_us", "micros", "t_us", "Time (\u00b5s)", "time [us]", "timestamp",
    "time")),
    Time("timestamp", "us", _EPOCH),
    *(Time(name, "ns", 49305.9) for name in ("time_ns", "timestamp", "time")),
    *(Time(name, "ns", _EPOCH) for name in ("timestamp_ns", "time", "epoch")),
    *(Time(name, ISO) for name in ("datetime", "timestamp", "time")),
    Time("timestamp", "%Y-%m-%dT%H:%M:%S.|Z"), Time("time", "%Y-%m-%dT%H:%M:%S.|+01:00"),
    Time("time", "%Y-%m-%dT%H:%M:%S.%f"), Time("timestamp", "%Y%m%dT%H%M%S.|Z"),
    Time("date", "%Y-%m-%d %H:%M:%S.|"), Time("loggingTime(txt)", "%Y-%m-%d %H:%M:%S.| +0100"),
    Time("Datum", "%d.%m.%Y %H:%M:%S.|"), Time("Date", "%m/%d/%Y %I:%M:%S.| %p"), Time("Date", "%d/%m/%Y %H:%M:%S.|"),
    Time("when", "%Y/%m/%d %H:%M:%S.|"), Time("YYYY-MO-DD HH-MI-SS_SSS", "%Y-%m-%d %H:%M:%S:|"),
    *(Time(name, "%H:%M:%S.|") for name in ("clock", "Uhrzeit", "Heure", "time")),
    Time("clock", "%H:%M:%S:|"), Time("time", "%I:%M:%S.| %p"), Time("time", "%H:%M:%S"),
)  # fmt: skip
TIMES = {f"{one.name}|{one.unit}|{one.start:g}": one for one in _TIMES}

LABELS = (
    "label",
    "activity",
    "Class",
    "class",
    "Activity Label",
    "gesture",
    "state",
    "Klasse",
    "target",
    "movement",
    "what",
)
CODES = (
    ("walk", "run"), ("walk", "run"), ("0", "1"), ("1", "2"), ("0.0", "1.0"), ("left-right", "up-down"),
    ("walk fast", "stand"),
    ("gear1", "gear2"), ("Gehen", "\u00dcben"), ("N", "P"), ("True", "False"), ("walk2", "walk3"),
)  # fmt: skip
FILE_NAMES = ("{label}_{n}", "{label}.{n}", "{label}-{n}", "{n}_{label}", "subject{n}_{label}", "rec-{label}-{n}",
    "{label} {n}",
              "{label}0{n}", "{label}_s{n}_t1", "{label}_session{n}", "2024-03-0{n}_{label}",
              "{label}_2024-03-0{n}_10-22-02",
              "Accelerometer_{label}_{n}", "{label}({n})")  # fmt: skip
PREAMBLES = (
    (), (), (),
    ("# logger 1.2", "# rate {rate} Hz"),
    ("Initializing I2C devices...", "MPU6050 connection successful"),
    ("", "% made by hand", ""),
    ("Device: phone, model 3", "Sensors: 6"),
    ("; recorded 2024-02-03", "; gain 1"),
    ("// serial port COM3, 115200 baud", "// low-pass filter 20 Hz"),
    ("------------ Data File Created By Logger 1.4 date format dd.MM.yyyy -----------", "Serial Number: TAS1D48140206",
     "Start Time 12:00:00", "Sampling rate: {rate} Hz"),
    ("sep=;",),
    ("Device,Phone,Model,7", "Start,2024-02-03,,"),
    ("ets Jun  8 2016 00:22:57", "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
     "configsip: 0, SPIWP:0xee", "ready"),
    ("1,2,3",),
)  # fmt: skip
EXTRAS = ("temperature", "magnetometer", "gravity", "orientation", "quaternion", "norm", "battery", "position",
    "subject",
          "status", "empty", "index", "sample")  # fmt: skip
FAULTS = ("text", "letter", "torn", "joined", "bytes", "empty", "nan", "blank", "comment", "header", "cut")
